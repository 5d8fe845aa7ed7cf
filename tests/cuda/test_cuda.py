"""tritorch.cuda on the emulated device: devices, memory accounting, streams, events, seeds."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tritorch.cuda as cuda
from tritorch import device as device_class
from tritorch.device import EMULATED, backend, empty, emulate, to_device
from tritorch.errors import OutOfMemoryError

pytestmark = pytest.mark.skipif(not EMULATED, reason="emulated devices; TRITON_INTERPRET=0 asks for real ones")


@pytest.fixture(autouse=True)
def fresh_devices():
    emulate(1)
    yield
    emulate(1)


def test_the_device_says_that_it_is_emulated():
    assert cuda.is_available() and cuda.device_count() == 1 and cuda.current_device() == 0
    assert "emulated" in cuda.get_device_name() and cuda.get_device_name("cuda:0") == cuda.get_device_name(0)
    assert cuda.get_device_capability() == (9, 0)
    p = cuda.get_device_properties()
    assert (p.major, p.minor) == (9, 0) and p.total_memory == 4096 << 20 and "total_memory=4096MB" in repr(p)
    assert cuda.is_bf16_supported()
    cuda.synchronize()


def test_devices_can_be_many_and_the_current_one_is_chosen():
    emulate(3)
    assert cuda.device_count() == 3
    with cuda.device(2):
        assert cuda.current_device() == 2
        with cuda.device("cuda:1"):
            assert cuda.current_device() == 1
        with cuda.device(-1), cuda.device(None):
            assert cuda.current_device() == 2
    assert cuda.current_device() == 0
    cuda.set_device(1)
    assert cuda.current_device() == 1
    cuda.set_device(device_class("cuda:0"))
    assert cuda.current_device() == 0
    assert cuda.can_device_access_peer(0, 1) and not cuda.can_device_access_peer(1, 1)


def test_the_current_device_is_each_threads_own():
    import threading

    emulate(2)
    cuda.set_device(1)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(cuda.current_device()))
    thread.start()
    thread.join()
    assert seen == [0] and cuda.current_device() == 1


@pytest.mark.parametrize("call", [lambda: cuda.set_device(1), lambda: cuda.get_device_name("cuda:4")])
def test_a_device_that_is_not_there(call):
    with pytest.raises(RuntimeError, match=r"invalid device ordinal: cuda:\d; there are 1 devices"):
        call()


def test_a_device_of_another_kind():
    with pytest.raises(ValueError, match="get_device_name: expected a cuda device; got cpu"):
        cuda.get_device_name("cpu")
    with pytest.raises(TypeError, match="device must be an int"):
        cuda.memory_allocated(1.5)


def test_memory_is_accounted_and_given_back():
    before = cuda.memory_allocated()
    a = empty((1024,), np.float32)
    b = to_device(np.ones((10, 10)))
    view = a[::2]
    assert cuda.memory_allocated() == before + 4096 + 800
    del a
    assert cuda.memory_allocated() == before + 4096 + 800  # the view holds it
    del view
    assert cuda.memory_allocated() == before + 800
    del b
    assert cuda.memory_allocated() == before and cuda.max_memory_allocated() >= before + 4896
    cuda.reset_peak_memory_stats()
    assert cuda.max_memory_allocated() == before
    free, total = cuda.mem_get_info()
    assert total - free == before == cuda.memory_reserved() == cuda.memory_stats()["allocated_bytes.all.current"]
    assert "MiB in use" in cuda.memory_summary()
    cuda.empty_cache()


def test_out_of_memory_gives_the_figures_and_leaves_the_device_usable():
    emulate(2, memory_mib=8)
    kept = empty((4 << 20,), np.uint8, device_class("cuda:1"))
    with pytest.raises(OutOfMemoryError, match=r"tried to allocate 6\.00 MiB on cuda:1; 4\.00 MiB of 8\.00 MiB"):
        empty((6 << 20,), np.uint8, device_class("cuda:1"))
    assert empty((6 << 20,), np.uint8).nbytes == 6 << 20  # the other device has its own memory
    assert issubclass(cuda.OutOfMemoryError, RuntimeError)
    del kept
    assert empty((6 << 20,), np.uint8, 1).nbytes == 6 << 20


def test_a_part_of_the_memory():
    emulate(1, memory_mib=8)
    cuda.set_per_process_memory_fraction(0.5)
    with pytest.raises(OutOfMemoryError, match="of 4.00 MiB"):
        empty((5 << 20,), np.uint8)
    with pytest.raises(ValueError, match="fraction must be in"):
        cuda.set_per_process_memory_fraction(1.5)


def test_streams_nest_and_compare():
    s, t = cuda.Stream(), cuda.Stream(priority=-1)
    assert s != t and s == s and hash(s) == hash(s) and cuda.current_stream() == cuda.default_stream()
    with cuda.stream(s):
        assert cuda.current_stream() == s
        with t:
            assert cuda.current_stream() == t
        assert cuda.current_stream() == s
    assert cuda.current_stream() == cuda.default_stream() and cuda.default_stream().cuda_stream == 0
    with cuda.stream(None):
        assert cuda.current_stream() == cuda.default_stream()
    s.wait_stream(t)
    s.synchronize()
    assert s.query()


def test_a_stream_of_another_device_brings_the_device():
    emulate(2)
    s = cuda.Stream(1)
    with cuda.stream(s):
        assert cuda.current_device() == 1 and cuda.current_stream() == s
        assert cuda.current_stream(0) == cuda.default_stream(0)
    assert cuda.current_device() == 0


def test_events_measure_time():
    start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    assert start.query()
    start.record()
    end.record()
    end.synchronize()
    assert start.query() and start.elapsed_time(end) >= 0
    end.wait()


def test_events_that_cannot_measure():
    a, b = cuda.Event(), cuda.Event(enable_timing=True)
    with pytest.raises(RuntimeError, match="enable_timing=True"):
        a.elapsed_time(b)
    with pytest.raises(RuntimeError, match="must be recorded"):
        b.elapsed_time(b)
    with pytest.raises(NotImplementedError, match="interprocess"):
        cuda.Event(interprocess=True)


def test_seeds_go_to_the_generators():
    emulate(2)
    cuda.manual_seed_all(7)
    assert cuda.initial_seed() == 7
    cuda.manual_seed(9)
    assert cuda.initial_seed() == 9
    with cuda.device(1):
        assert cuda.initial_seed() == 7
    state = cuda.get_rng_state()
    cuda.seed()
    cuda.set_rng_state(state)
    assert cuda.initial_seed() == 9
    assert len(cuda.get_rng_state_all()) == 2


def test_the_number_of_devices_comes_from_the_environment():
    code = "import tritorch.cuda as c; print(c.device_count(), c.get_device_properties(2).total_memory)"
    env = {"TRITON_INTERPRET": "1", "TRITORCH_EMULATED_DEVICES": "3", "TRITORCH_EMULATED_MEMORY": "16"}
    out = subprocess.run([sys.executable, "-c", code], env=env | _path(), capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["3", str(16 << 20)]


def test_without_cupy_and_emulation_there_is_no_cuda_and_the_error_says_what_to_install():
    code = """
import sys
sys.modules["cupy"] = None
import tritorch.cuda as c
print(c.is_available(), c.device_count(), c.is_initialized())
try:
    c.init()
except RuntimeError as error:
    print(error)
"""
    env = {"TRITON_INTERPRET": "0"} | _path()
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert out.startswith("False 0 False") and "pip install 'tritorch[cuda13]'" in out and "TRITON_INTERPRET=1" in out


def _path() -> dict[str, str]:
    import os

    return {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")}


def test_every_public_name_is_there():
    missing = [n for n in cuda.__all__ if not hasattr(cuda, n)]
    assert not missing
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cuda.nonsense
    assert backend().stream_pointer(0) == 0
