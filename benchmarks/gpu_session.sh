#!/usr/bin/env bash
# All that one visit to a machine with a GPU is for: checks of the runtime, the GPU tests, kernels and training timed.
# Needs Python 3.12, triton, cupy, numpy, ml_dtypes and a C compiler there, and nothing from a network; torch only as a
# peer, in processes of its own. At most 9 minutes; each part has its limit, ends itself before it with what it has by
# then, and a part that fails does not stop the others.
#
#   bash benchmarks/gpu_session.sh            results to $OUT, else benchmarks/results/gpu
#   bash benchmarks/gpu_session.sh --dry-run  tiny sizes on the emulated device: does it run; its times mean nothing
set -uo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
out="${OUT:-benchmarks/results/gpu}"
mkdir -p "$out"
export PYTHONPATH=. PYTHONPYCACHEPREFIX="${TMPDIR:-/tmp}/tritorch-pyc"
dry=()
if [ "${1:-}" = --dry-run ]; then
    dry=(--dry-run)
    export TRITON_INTERPRET=1
else
    export TRITON_INTERPRET=0
fi
failed=0
parts=()

part() { # name, seconds, command: runs it within its time, keeps what it says
    local name=$1 limit=$2 begin=$SECONDS
    shift 2
    timeout -s INT -k 10 "$limit" "$@" >"$out/$name.log" 2>&1
    local code=$?
    [ $code -eq 0 ] || failed=1
    parts+=("{\"part\": \"$name\", \"exit\": $code, \"seconds\": $((SECONDS - begin)), \"limit\": $limit}")
    printf '[%s]\n' "$(IFS=,; echo "${parts[*]}")" >"$out/session.json"
    echo "=== $name: exit $code after $((SECONDS - begin)) s (limit $limit)"
    tail -n "${LINES_KEPT:-60}" "$out/$name.log"
}

part checks 115 "$python" benchmarks/gpu_checks.py "${dry[@]}" --out "$out/checks.json" --seconds 105
if [ ${#dry[@]} -eq 0 ]; then
    if "$python" -c 'import pytest' 2>/dev/null; then
        beside=()
        "$python" -c 'import xdist' 2>/dev/null && beside=(-n 12)
        LINES_KEPT=25 part tests 120 "$python" -m pytest -q --tb=line --maxfail=60 -p no:cacheprovider "${beside[@]}" \
            --ignore=tests/oracle tests/cuda tests/test_ops.py -k cuda
    else
        echo "=== tests: pytest is not here, so they did not run"
    fi
fi
part kernels 155 "$python" benchmarks/gpu_kernels.py "${dry[@]}" --out "$out/kernels.json" --seconds 145
part training 140 "$python" benchmarks/gpu_training.py "${dry[@]}" --out "$out/training.json" --seconds 130
exit $failed
