#!/usr/bin/env bash
# All that one visit to a machine with a GPU is for: checks of the runtime, the GPU tests, kernels and training timed.
# Needs Python 3.12, triton, cupy, numpy, ml_dtypes there, and nothing from a network; torch only as a peer, in processes
# of its own. About 9 minutes; each part has its limit, and a part that fails does not stop the others.
#
#   bash benchmarks/gpu_session.sh            results to $OUT, else benchmarks/results/gpu
#   bash benchmarks/gpu_session.sh --dry-run  tiny sizes on the emulated device: does it run; its times mean nothing
set -uo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
out="${OUT:-benchmarks/results/gpu}"
mkdir -p "$out"
export PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1
dry=()
if [ "${1:-}" = --dry-run ]; then
    dry=(--dry-run)
    export TRITON_INTERPRET=1
else
    export TRITON_INTERPRET=0
fi
failed=0

part() { # name, seconds, command: runs it within its time, keeps what it says
    local name=$1 limit=$2 begin=$SECONDS
    shift 2
    timeout -k 10 "$limit" "$@" >"$out/$name.log" 2>&1
    local code=$?
    [ $code -eq 0 ] || failed=1
    echo "=== $name: exit $code after $((SECONDS - begin)) s (limit $limit)"
    tail -n "${LINES_KEPT:-60}" "$out/$name.log"
}

part checks 80 "$python" benchmarks/gpu_checks.py "${dry[@]}" --out "$out/checks.json"
if [ ${#dry[@]} -eq 0 ]; then
    if "$python" -c 'import pytest' 2>/dev/null; then
        LINES_KEPT=25 part tests 170 "$python" -m pytest -q --maxfail=30 -p no:cacheprovider --ignore=tests/oracle \
            tests/cuda "tests/test_ops.py" -k cuda
    else
        echo "=== tests: pytest is not here, so they did not run"
    fi
fi
part kernels 150 "$python" benchmarks/gpu_kernels.py "${dry[@]}" --out "$out/kernels.json"
part training 130 "$python" benchmarks/gpu_training.py "${dry[@]}" --out "$out/training.json"
exit $failed
