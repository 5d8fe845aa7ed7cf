"""Generators of random bits, their seeds and states; the default generators; `tritorch.random`.

A CPU generator is PyTorch's: the Mersenne twister MT19937 (M. Matsumoto and T. Nishimura, ACM TOMACS 8(1), 1998),
seeded by the low 32 bits of the seed, one stream of 32-bit words consumed in order, plus the second value of the last
Box-Muller pair drawn in double precision. NumPy's bit generator of the same name gives the same words. What the
distributions make of the words is in `kernels/random.py`.

A cuda generator is a counter (J. Salmon et al., Parallel random numbers: as easy as 1, 2, 3; SC 2011): Philox-4x32-10
with the seed as key and an offset that grows by one per four values; `kernels/philox.py` has the kernels and the
NumPy twin. While a CUDA graph is recorded, the offset counts from the graph's begin and the kernels read seed and first
offset from memory, which each replay writes: so a replay draws what eager code would have drawn in its place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ._capture import CAPTURES, refuse
from .device import CPU, device, not_repeatable

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip

DEFAULT_SEED = 67280421310721  # the seed of a new Generator, PyTorch's
_N = 624  # words of MT19937's state

# PyTorch's layout of a CPU generator's state: 5056 bytes
_STATE = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "key", "normal", "has_normal"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", (_N,)), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 24 + 8 * _N + 8, 24 + 8 * _N + 24],
        "itemsize": 5056,
    }
)

_as_tensor: Callable[[np.ndarray], Any] = np.asarray  # replaced by `wrap` when the layer of tensors is imported


def _check_seed(value: int) -> int:
    """The seed as 64 bits without sign; negative seeds count from 2^64, as in PyTorch."""
    if not isinstance(value, (int, np.integer)):
        raise RuntimeError(f"manual_seed expected a long, but got {type(value).__name__}")
    value = int(value)
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"manual_seed: Overflow when unpacking long long: seed must be in [-2^63, 2^64); got {value}")
    return value & (1 << 64) - 1


def _no_capture() -> None:
    if CAPTURES:
        refuse("a new seed", "each replay takes the seed that the generator has then")


def _new_seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


class Generator:
    """A stream of random bits with a seed and a state.

    Args:
        device: "cpu" (default; the Mersenne twister, PyTorch's numbers) or a cuda device (Philox counters).

    Attributes:
        device: the device of the tensors it fills.
        words: `words(n)`, the next n words of 32 bits as uint64 (cpu).
        next_normal: the second value of the last Box-Muller pair, waiting for its use, or None (cpu).

    >>> import tritorch as torch
    >>> g = torch.Generator().manual_seed(0)
    >>> torch.rand(2, generator=g)
    tensor([0.4963, 0.7682])
    """

    __slots__ = ("device", "words", "next_normal", "_seed", "_bits", "_reseed", "_offset", "__weakref__")

    def __init__(self, device: Any = CPU):
        self.device = place = _device(device)
        self.next_normal: float | None = None
        self._offset = 0
        if place.type == "cpu":
            self._bits = np.random.MT19937(0)
            self._reseed = np.random.RandomState(self._bits).seed
            self.words = self._bits.random_raw
        self._start(DEFAULT_SEED)

    # ------------------------------------------------------------------------------------------------------- seed

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew from `seed`, an integer in [-2^63, 2^64); returns the generator."""
        seed = _check_seed(seed)
        if self.device.type != "cpu":
            _no_capture()
        return self._start(seed)

    def _start(self, seed: int) -> Generator:
        self._seed = seed
        self._offset = 0
        if self.device.type == "cpu":
            self._reseed(seed & 0xFFFFFFFF)
            self.next_normal = None
        return self

    def seed(self) -> int:
        """Seed with a number from the operating system and return it."""
        self.manual_seed(_new_seed())
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self._seed

    # ------------------------------------------------------------------------------------------------------ state

    def get_state(self) -> Any:
        """The whole state as a uint8 tensor: PyTorch's 5056 bytes on the CPU, seed and offset (16 bytes) on cuda."""
        return _as_tensor(np.frombuffer(bytearray(self._state_bytes()), np.uint8))

    def set_state(self, new_state: Any) -> None:
        """Take over a state that `get_state` gave, of this or another generator of the same kind (or PyTorch's).

        Raises:
            TypeError: `new_state` is no uint8 tensor.
            RuntimeError: wrong size, or no valid state.
        """
        array = getattr(new_state, "_a", new_state)
        if not isinstance(array, np.ndarray):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if array.dtype != np.uint8:
            raise TypeError(f"RNG state must be a torch.ByteTensor; got dtype {array.dtype}")
        self._load_bytes(np.ascontiguousarray(array).tobytes())

    def _state_bytes(self) -> bytes:
        if self.device.type != "cpu":
            return np.array([self._seed, self.get_offset()], "<u8").tobytes()
        state: Any = self._bits.state["state"]
        key, pos = state["key"], state["pos"]
        s = np.zeros((), _STATE)
        # PyTorch starts with next = 0, left = 1; before the first draw NumPy's position is at the end, as it is
        # after 624 draws, but then the first word is no longer the seed.
        fresh = pos == _N and int(key[0]) == self._seed & 0xFFFFFFFF
        s["seed"], s["left"], s["seeded"], s["next"] = self._seed, _N + 1 - pos, 1, 0 if fresh else pos
        s["key"] = key
        if self.next_normal is not None:
            s["normal"], s["has_normal"] = self.next_normal, 1
        return s.tobytes()

    def _load_bytes(self, data: bytes) -> None:
        if self.device.type != "cpu":
            if len(data) not in (8, 16):
                raise RuntimeError(f"RNG state is wrong size: a cuda generator's has 16 bytes; got {len(data)}")
            seed, offset = (*np.frombuffer(data, "<u8").tolist(), 0)[:2]
            if seed != self._seed:
                _no_capture()
            self.set_offset(offset)
            self._seed = seed
            return
        if len(data) != _STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE.itemsize} but found the input RNG state size to be "
                f"{len(data)}"
            )
        s = np.frombuffer(data, _STATE)[0]
        left, following = int(s["left"]), int(s["next"])
        if not (s["seeded"] == 1 and 0 < left <= _N and following <= _N):
            raise RuntimeError("Invalid mt19937 state")
        pos = _N if left == 1 else following
        self._bits.state = {
            "bit_generator": "MT19937",
            "state": {"key": s["key"].astype(np.uint32), "pos": pos},
        }
        self._seed = int(s["seed"])
        self.next_normal = float(s["normal"]) if s["has_normal"] else None

    def clone_state(self) -> Generator:
        """A new generator with a copy of this one's state."""
        twin = Generator(self.device)
        twin._seed = self._seed
        twin._load_bytes(self._state_bytes())
        return twin

    def graphsafe_get_state(self) -> Generator:
        """A generator that holds a copy of the state; PyTorch's name for states taken during graph capture."""
        return self.clone_state()

    def graphsafe_set_state(self, state: Generator) -> Generator:
        """Take over the state of another generator; returns this one."""
        if state.device.type != self.device.type:
            raise RuntimeError(f"graphsafe_set_state: expected a generator on {self.device}; got one on {state.device}")
        self._load_bytes(state._state_bytes())
        return self

    def __reduce__(self):
        return _rebuild, (str(self.device), self._state_bytes())

    def __repr__(self) -> str:
        return f"<torch.Generator device={self.device} seed={self._seed}>"

    # ------------------------------------------------------------------------------------------- the bits, on cpu

    def words64(self, n: int) -> np.ndarray:
        """The next n numbers of 64 bits as uint64, two words each, the first one above."""
        w = self.words(2 * n)
        high = w[0::2] << np.uint64(32)
        high |= w[1::2]
        return high

    def u53(self, n: int) -> np.ndarray:
        """The next n uniform numbers of [0, 1) with 53 bits, float64; two words each."""
        u = np.empty(n)
        for start in range(0, n, _BLOCK // 2):
            part = u[start : start + _BLOCK // 2]
            w = self.words(2 * part.size)
            x = w[0::2] << _UP
            x >>= _DOWN
            x |= w[1::2]
            part[...] = x.view(np.int64)  # the conversion from int64 is the fast one
            part *= _ULP53
        return u

    def u24(self, n: int) -> np.ndarray:
        """The next n uniform numbers of [0, 1) with 24 bits, float32; one word each."""
        u = np.empty(n, np.float32)
        self.u24_into(u)
        return u

    def u24_into(self, out: np.ndarray) -> None:
        """`u24` written into a contiguous float32 array of one dim."""
        for start in range(0, out.size, _BLOCK):
            part = out[start : start + _BLOCK]
            part[...] = self.words(part.size).view(np.int32)[_LOW::2] & _24_BITS
            part *= _ULP24

    # --------------------------------------------------------------------------------------- the counters, on cuda

    def philox(self, n: int) -> tuple[Any, int]:
        """(seed, offset) for n values on cuda, four to a counter; the offset moves on by ceil(n / 4).

        While a graph is recorded: its device array with the seed and the offset to be added, as `philox.stream` takes them.
        """
        if CAPTURES:
            return CAPTURES[-1].draw(self, (n + 3) // 4)
        not_repeatable()
        offset = self._offset
        self._offset = offset + (n + 3) // 4
        return self._seed, offset

    def get_offset(self) -> int:
        """The counter's offset (cuda); while a graph is recorded, counted from its begin."""
        self._needs_cuda()
        return self._offset

    def set_offset(self, offset: int) -> None:
        """Set the counter's offset (cuda)."""
        self._needs_cuda()
        self._offset = int(offset)

    def _needs_cuda(self) -> None:
        if self.device.type == "cpu":
            raise RuntimeError("CPU Generator does not use offset")
        if CAPTURES:
            CAPTURES[-1].enter(self)


_BLOCK = 1 << 15  # words at a time: 256 KB as uint64, so that they stay in cache
_LOW = 0 if np.little_endian else 1
# arrays without dims, which NumPy takes faster than its scalars
_UP, _DOWN, _24_BITS = np.array(64 - 21, np.uint64), np.array(64 - 53, np.uint64), np.array(0xFFFFFF, np.int32)
_ULP53, _ULP24 = np.array(2.0**-53), np.array(2.0**-24, np.float32)


def _device(value: Any) -> device:
    return device(value)


def _rebuild(place: str, state: bytes) -> Generator:
    generator = Generator(place)
    generator._load_bytes(state)
    return generator


# ------------------------------------------------------------------------------------------- the default generators

default_generator = Generator()
default_generator.seed()

_cuda_generators: dict[int, Generator] = {}
_cuda_seed: int | None = None


def cuda_generator(index: int) -> Generator:
    """The default generator of a cuda device; its seed is that of the last `manual_seed`, or one from the system."""
    found = _cuda_generators.get(index)
    if found is None:
        found = _cuda_generators[index] = Generator(device("cuda", index))
        found._start(_new_seed() if _cuda_seed is None else _cuda_seed)
    return found


def default_for(place: device) -> Generator:
    """The default generator of a device."""
    return default_generator if place.type == "cpu" else cuda_generator(place.index or 0)


def pick(generator: Generator | None, place: device, op: str = "random") -> Generator:
    """`generator`, or the default one of the device; RuntimeError when it belongs to another kind of device."""
    if generator is None:
        return default_generator if place is CPU else default_for(place)
    if generator.__class__ is not Generator:
        raise TypeError(f"{op}: argument 'generator' must be Generator, not {type(generator).__name__}")
    if generator.device.type != place.type:
        raise RuntimeError(
            f"{op}: Expected a '{place.type}' device type for generator but found '{generator.device.type}'"
        )
    return generator


def manual_seed_cuda(seed: int, index: int | None = None) -> None:
    """Seed the default generator of one cuda device, or of all of them, those made later included."""
    global _cuda_seed
    seed = _check_seed(seed)
    _no_capture()
    if index is not None:
        cuda_generator(index).manual_seed(seed)
        return
    _cuda_seed = seed
    for g in _cuda_generators.values():
        g.manual_seed(seed)


def manual_seed(seed: int) -> Generator:
    """Seed the default generators of all devices; returns the CPU's.

    Args:
        seed: an integer in [-2^63, 2^64); negative ones count from 2^64.

    Raises:
        ValueError: out of range.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(3)
    tensor([0.4963, 0.7682, 0.0885])
    """
    seed = int(seed)
    manual_seed_cuda(seed)
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generators of all devices with one number from the operating system and return it."""
    _no_capture()
    value = default_generator.seed()
    manual_seed_cuda(value)
    return value


def initial_seed() -> int:
    """The seed of the CPU's default generator.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(3)
    >>> torch.initial_seed()
    3
    """
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the CPU's default generator, a uint8 tensor of 5056 elements in PyTorch's layout.

    >>> import tritorch as torch
    >>> state = torch.get_rng_state()
    >>> a = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> torch.equal(a, torch.rand(2))
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Set the state of the CPU's default generator; see `Generator.set_state`."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Within the block, draw freely; afterwards the default generators are as they were before.

    Args:
        devices: cuda devices whose generators are kept as well; default all that have been used. The CPU's always is.
        enabled: False makes the block do nothing.
        device_type: only "cuda".

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(100)
    >>> torch.rand(1)
    tensor([0.4963])
    """
    if device_type != "cuda":
        raise RuntimeError(f"torch has no module of `{device_type}`, you should register a module for it")
    if not enabled:
        yield
        return
    kept = default_states(devices)
    try:
        yield
    finally:
        set_states(kept)


def default_states(devices: Iterable[Any] | None = None) -> list[tuple[Generator, bytes]]:
    """The default generators with their states: the CPU's, and those of cuda devices (default: all that were used)."""
    if devices is None:
        found = list(_cuda_generators.values())
    else:
        found = [cuda_generator(device(d).index or 0) for d in devices]
    return [(g, g._state_bytes()) for g in (*found, default_generator)]


def set_states(states: Iterable[tuple[Generator, bytes]]) -> None:
    """Go back to what `default_states` gave."""
    for generator, state in states:
        generator._load_bytes(state)
