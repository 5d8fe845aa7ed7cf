"""Fetchers: from what a sampler gives to a batch, for datasets by index and for streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .collate import default_collate
from .dataset import IterableDataset

Fetcher = Callable[[Any], Any]


def make_fetcher(dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetcher:
    """The function that makes each batch, in a loader or in a worker; StopIteration when a stream has ended."""
    if isinstance(dataset, IterableDataset):
        return _StreamFetcher(dataset, batched, collate_fn, drop_last)
    return _MapFetcher(dataset, batched, collate_fn)


class _MapFetcher:
    """Indices to batch; an exception says at which index it came."""

    def __init__(self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any]):
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.getitems = getattr(dataset, "__getitems__", None)
        # Rows of tensors can be gathered in one copy, but only the default collation is known to mean the same.
        self.gather = getattr(dataset, "_gather", None) if collate_fn is default_collate else None

    def __call__(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate_fn(self._samples([indices])[0])
        if self.gather is not None:
            try:
                batch = self.gather(indices)
            except IndexError:
                batch = None  # the way sample by sample finds the index and words the error
            if batch is not None:
                return batch
        if self.getitems is not None:
            try:
                samples = self.getitems(indices)
            except Exception as error:
                error.add_note(f"while fetching samples {_short(indices)} of {type(self.dataset).__name__}")
                raise
        else:
            samples = self._samples(indices)
        return self.collate_fn(samples)

    def _samples(self, indices: Any) -> list[Any]:
        dataset = self.dataset
        samples: list[Any] = []
        index = None
        try:
            for index in indices:
                samples.append(dataset[index])
        except StopIteration as error:
            # Let through, it would end the epoch early and silently.
            raise RuntimeError(f"{type(dataset).__name__}[{index!r}] raised StopIteration") from error
        except Exception as error:
            error.add_note(f"while fetching sample {index!r} of {type(dataset).__name__}")
            raise
        return samples


class _StreamFetcher:
    """The next samples of a stream, as many as the sampler's list is long."""

    def __init__(self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool):
        self.name = type(dataset).__name__
        self.stream = iter(dataset)
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.seen = 0
        self.ended = False

    def __call__(self, indices: Any) -> Any:
        if self.ended:
            raise StopIteration
        try:
            samples = []
            for _ in indices if self.batched else (0,):
                samples.append(next(self.stream))
                self.seen += 1
        except StopIteration:
            self.ended = True
            if not self.batched:
                raise
        except Exception as error:
            error.add_note(f"while fetching sample {self.seen} of the stream {self.name}")
            raise
        if not self.batched:
            return self.collate_fn(samples[0])
        if not samples or (self.drop_last and len(samples) < len(indices)):
            raise StopIteration
        return self.collate_fn(samples)


def _short(indices: Any) -> str:
    text = repr(indices)
    return text if len(text) <= 80 else f"{text[:77]}..."
