"""The numeric tests under each family of kernels that this processor can run: one machine's luck is not everyone's.

    python tests/other_kernels.py            (or `tox -e kernels`)

Torch, MKL, oneDNN and OpenBLAS pick their kernels by the processor, and a kernel may add the terms of a sum in another
order. A test that passes under one family only asserts more than the program promises.
"""

from __future__ import annotations

import os
import subprocess
import sys

NUMERIC = [
    "tests/baselines",
    "tests/cs3",
    "tests/simulator/world",
    "tests/reports/numbers",
    "tests/reports/studies/test_evaluation.py",
    "tests/reports/studies/test_late.py",
    "tests/reports/studies/test_probes.py",
]
"""What multiplies matrices: about 40 s a family on two cores."""

KERNELS = {
    "DEFAULT": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "COMPATIBLE",  # the only one of MKL's switches that an AMD processor heeds
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
}
"""From the least to the most that a processor must have, by torch's names."""


def plain() -> dict[str, str]:
    """The environment without anything that picks kernels."""
    picks = {name for family in KERNELS.values() for name in family}
    return {name: value for name, value in os.environ.items() if name not in picks}


def runnable() -> list[str]:
    """Families that the processor can run; the least one on processors of another kind."""
    ask = [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"]
    most = subprocess.run(ask, env=plain(), check=True, capture_output=True, text=True).stdout.strip()
    names = list(KERNELS)
    return names[: names.index(most) + 1] if most in names else names[:1]


def passes(family: str, options: list[str]) -> bool:
    sys.stdout.write(f"\n-- kernels: {family}\n")
    sys.stdout.flush()
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--benchmark-disable", *(options or NUMERIC)]
    return subprocess.run(tests, env=plain() | KERNELS[family], check=False).returncode == 0


if __name__ == "__main__":
    failed = [family for family in runnable() if not passes(family, sys.argv[1:])]
    sys.exit(f"failed under other kernels: {', '.join(failed)}" if failed else 0)
