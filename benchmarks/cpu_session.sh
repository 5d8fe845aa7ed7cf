#!/bin/sh
# The CPU tables in under six minutes, on an idle machine: sh benchmarks/cpu_session.sh
# Without what an environment may say to OpenBLAS about the processor: a core type or cache size set by hand can halve
# NumPy's products, and torch does not see it.
set -e
cd "$(dirname "$0")/.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS OMP_NUM_THREADS MKL_NUM_THREADS
export PYTHONPATH="$PWD"
python="${PYTHON:-python}"
{
    "$python" benchmarks/ops_cpu.py --seconds 1
    "$python" benchmarks/training_cpu.py --seconds 6
} | tee benchmarks/results/cpu_session.txt
