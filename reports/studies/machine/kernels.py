"""Which kernels make a run's numbers: processor, torch's vector instructions, BLAS cores, what the environment picks.

Equal code on equal data rounds alike only under equal kernels: another kernel may add the same terms in another order,
and what learns online carries the last bit far. So a run says which ones made its cells, and goes on under no other
unless it is told to.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from simulator.experiment import read_json, write_json
from simulator.same_run import allowed
from simulator.seal import SEAL, seal_run

Kernels = dict[str, Any]
KEYS = {"processor", "torch", "blas", "picked"}
PICKS = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES")
"""Variables that pick kernels of libraries that do not tell which ones they took."""


@cache
def kernels() -> Kernels:
    """Those of this process: ``processor``, ``torch``, ``blas`` by library, ``picked``, ``threads``."""
    import numpy  # noqa: F401  # loads its BLAS
    import scipy.linalg  # noqa: F401  # loads its own
    import torch
    from threadpoolctl import threadpool_info

    blas = {_library(one): one.get("architecture", one["internal_api"]) for one in threadpool_info() if _is_blas(one)}
    return {
        "processor": processor(),
        "torch": torch.backends.cpu.get_cpu_capability(),
        "blas": dict(sorted(blas.items())),
        "picked": {name: os.environ[name] for name in PICKS if name in os.environ},
        "threads": {
            "cell": 1,
            "torch": torch.get_num_threads(),
            **{_library(one): one["num_threads"] for one in threadpool_info() if _is_blas(one)},
        },
    }


def _is_blas(one: Mapping[str, Any]) -> bool:
    return bool(one["user_api"] == "blas")


def _library(one: Mapping[str, Any]) -> str:
    """``numpy``, for the copy in ``numpy.libs``."""
    return Path(one["filepath"]).parent.name.removesuffix(".libs")


def processor() -> str:
    """Its model's name, and family and model where the name alone is a whole line of products."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    first = dict(_pairs(text.partition("\n\n")[0]))
    if "model name" not in first:
        return platform.processor() or platform.machine()
    return f"{first['model name']} (family {first.get('cpu family')}, model {first.get('model')})"


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def alike(one: Kernels, other: Kernels) -> bool:
    """Whether two round alike, as far as they say. A cell has one thread, whatever the machine has."""
    libraries = set(one["blas"]) & set(other["blas"])
    return all(one[key] == other[key] for key in ("processor", "torch", "picked")) and all(
        one["blas"][name] == other["blas"][name] for name in libraries
    )


def spelled(one: Kernels) -> str:
    """In a few words."""
    picked = "".join(f", {name}={value}" for name, value in one["picked"].items())
    blas = "/".join(dict.fromkeys(one["blas"].values())) or "none"
    return f"{one['processor']}, torch {one['torch']}, BLAS {blas}{picked}"


def agree(root: Path, found: Sequence[Kernels]) -> None:
    """Write into a run's manifest under which kernels its cells are about to be computed.

    Args:
        root: the run directory.
        found: of every machine that computes them.

    Raises:
        ValueError: one line naming both, if they are others than those of its cells so far, or differ from each other,
            and nobody allowed it.
    """
    manifest = read_json(root / "manifest.json")
    told = _told(manifest) if _begun(root) else []
    known = list(told)
    known += [one for i, one in enumerate(found) if not any(alike(one, other) for other in [*told, *found[:i]])]
    if len(known) > max(len(told), 1) and not allowed().other_kernels:
        raise ValueError(
            f"{root}: made on {spelled(known[0])}; this is {spelled(known[-1])}, which rounds otherwise: "
            "choose another --out, or mix both with --other-kernels"
        )
    before = _told(manifest)
    if len(known) != len(before) or not all(alike(*pair) for pair in zip(known, before, strict=True)):
        _rewrite(root, manifest | {"kernels": known})


def _begun(root: Path) -> bool:
    """Whether anything was computed of a run."""
    return any(root.glob("cells/*/[!.]*")) or any(root.glob("points/*/*"))


def _rewrite(root: Path, manifest: Mapping[str, Any]) -> None:
    """Another manifest, under a seal of its own if it was sealed; one who is killed between leaves it without."""
    sealed = (root / SEAL).exists()
    (root / SEAL).unlink(missing_ok=True)
    write_json(root / "manifest.json", manifest)
    if sealed:
        seal_run(root)


def _told(manifest: Mapping[str, Any]) -> list[Kernels]:
    """Those that a manifest names; what is none of ours is as good as nothing."""
    told = manifest.get("kernels")
    whole = [one for one in told if isinstance(one, dict) and set(one) >= KEYS] if isinstance(told, list) else []
    return [one for one in whole if isinstance(one["blas"], dict) and isinstance(one["picked"], dict)]


def refuse_untold(manifest: Mapping[str, Any]) -> None:
    """Refuse to compute a cell under kernels that the run's manifest does not name.

    Raises:
        ValueError: one line naming both.
    """
    told, here = _told(manifest), kernels()
    if told and not any(alike(here, one) for one in told):
        raise ValueError(
            f"a worker has {spelled(here)}, the run was made on {spelled(told[0])}, which rounds otherwise: "
            "leave it out, or mix both with --other-kernels"
        )
