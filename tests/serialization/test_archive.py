"""The zip container: what is written is a zip file, what is read is checked."""

from __future__ import annotations

import io
import threading
import zipfile

import numpy as np
import pytest

from tritorch.serialization import archive
from tritorch.serialization.archive import DamagedFileError, Reader, Source, Writer


def _write(records: dict[str, bytes]) -> bytes:
    f = io.BytesIO()
    w = Writer(f.write)
    for name, content in records.items():
        w.add(name, content)
    w.close()
    return f.getvalue()


def _reader(data: bytes) -> Reader:
    return Reader(Source(io.BytesIO(data)), "it")


RECORDS = {"data.pkl": b"pickle", "data/0": bytes(range(256)) * 10, "empty": b"", "name \u00e9": b"x"}


def test_zipfile_reads_it_and_records_are_aligned():
    data = _write(RECORDS)
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.testzip() is None
        assert {n.removeprefix("archive/"): z.read(n) for n in z.namelist()} == RECORDS
    r = _reader(data)
    for name, content in RECORDS.items():
        assert bytes(r.read(name)) == content
        assert r._content_offset(r.records[name]) % archive.ALIGNMENT == 0


def test_zip64(monkeypatch):
    many = {f"data/{i}": b"" for i in range(70_000)}
    assert len(_reader(_write(many)).records) == 70_000
    # sizes and offsets beyond the 32-bit limit, made small enough to write
    monkeypatch.setattr(archive, "_BIG32", 300)
    r = _reader(_write(RECORDS))
    for name, content in RECORDS.items():
        assert bytes(r.read(name)) == content


def test_offset_of_the_stream_counts():
    data = _write(RECORDS)
    f = io.BytesIO(b"before" + data)
    f.seek(6)
    assert bytes(Reader(Source(f), "it").read("data.pkl")) == b"pickle"


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 500, -1, -22, -60])
def test_truncated(keep):
    data = _write(RECORDS)
    with pytest.raises(DamagedFileError, match="it is damaged"):
        r = _reader(data[:keep])
        for name in RECORDS:
            r.read(name)


def test_altered_bytes_are_named():
    data = bytearray(_write(RECORDS))
    at = data.index(bytes(range(256)))
    data[at + 5] ^= 1
    r = _reader(bytes(data))
    assert bytes(r.read("data.pkl")) == b"pickle"
    with pytest.raises(DamagedFileError, match=r"record 'archive/data/0' do not match their checksum"):
        r.read("data/0")
    with pytest.raises(DamagedFileError, match="record 'data/7' is missing"):
        r.read("data/7")


def _large(size: int = 100_003) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)


def test_the_word_check_sees_every_change():
    data = _large(3 * 4096 + 5)
    right = archive.word_check(data)
    assert archive.word_check(data[8192:], archive.word_check(data[:8192])) == right
    assert archive.word_check(data[:0]) == 0
    rng = np.random.default_rng(1)
    for _ in range(300):
        changed = data.copy()
        changed[rng.integers(data.size)] ^= 1 << int(rng.integers(8))
        assert archive.word_check(changed) != right
        words = data[: 3 * 4096].copy().view(np.uint64)
        i, j = rng.choice(words.size, 2, replace=False)
        words[[i, j]] = words[[j, i]]
        assert archive.word_check(np.concatenate([words.view(np.uint8), data[3 * 4096 :]])) != right


def test_large_records_by_their_word_check():
    content = _large()
    f = io.BytesIO()
    w = Writer(f.write)
    w.add("data/0", content, archive.checks(content))
    w.close()
    data = bytearray(f.getvalue())
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.testzip() is None
    r = _reader(bytes(data))
    words = r.records["data/0"].words
    assert words == archive.word_check(content) and bytes(r.read("data/0")) == content.tobytes()
    at = data.index(content.tobytes())
    data[at + 70_000] ^= 4
    with pytest.raises(DamagedFileError, match="checksum"):
        _reader(bytes(data)).read("data/0")
    data[at + 70_000] ^= 4
    data[data.rindex(words.to_bytes(4, "little"))] ^= 1  # only the field is wrong: the CRC decides
    assert bytes(_reader(bytes(data)).read("data/0")) == content.tobytes()


def test_checks_ahead(monkeypatch):
    """The second thread's checks are the ones that the writer would compute, and it stops when told."""
    monkeypatch.setattr(archive, "get_num_threads", lambda: 2)
    contents: list[np.ndarray | None] = [_large(200_000 + i) for i in range(50)]
    contents[7] = None  # on a device
    monkeypatch.setattr(archive, "SHARED", 1)
    ahead = archive.ChecksAhead(contents)
    for i, content in enumerate(contents):
        content = _large(10) if content is None else content
        assert ahead.take(i, content) == archive.checks(content)
    ahead.stop()
    stopped = archive.ChecksAhead(contents)
    stopped.stop()
    thread = next((t for t in threading.enumerate() if t.name == "checks ahead"), None)
    if thread is not None:
        thread.join(20)
        assert not thread.is_alive()
    assert len(stopped._ready) < 49


def test_a_bomb_is_not_unpacked():
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("archive/data/0", bytes(1 << 20))
    data = bytearray(f.getvalue())
    at = data.rindex(b"PK\1\2")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")  # the directory says 100 bytes
    with pytest.raises(DamagedFileError, match="holds 101 bytes, not 100"):
        _reader(bytes(data)).read("data/0")


def test_content_is_writable_memory_of_its_own():
    out = _reader(_write(RECORDS)).read("data/0")
    assert isinstance(out, np.ndarray) and out.flags.writeable and out.flags.owndata
