"""The state of a model as bytes that hold data and no code, the same bytes for the same state.

The tensors are those of a `safetensors <https://github.com/huggingface/safetensors>`_ file; how they hang together is
JSON in its metadata: ``["dict", [[key, value], ...]]`` and the like, numbers and text as they are. Nothing in such a
file can run when it is read, so a run directory of somebody else is safe to resume.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

TREE = "tree"
PARTS: Mapping[type, tuple[str, Callable[[list[Any]], Any]]] = {
    list: ("list", list),
    tuple: ("tuple", tuple),
    torch.Size: ("size", torch.Size),
    deque: ("deque", deque),
    set: ("set", set),
    frozenset: ("frozenset", frozenset),
}
"""Containers of values, by type: what the tree calls them, and how they are made again."""
TABLES: Mapping[type, tuple[str, Callable[[Any], Any]]] = {dict: ("dict", dict), OrderedDict: ("ordered", OrderedDict)}
"""Containers of pairs."""


def pack(state: Any) -> bytes:
    """A state as bytes.

    Args:
        state: tensors, numpy arrays and numbers, int, float, bool, None, str and bytes, in dicts, lists, tuples, sets.

    Raises:
        TypeError: one line with the place of what is none of these.
    """
    from safetensors.torch import save

    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_taken_apart(state, "state", tensors))
    return save(tensors, metadata={TREE: tree})


def unpack(content: bytes) -> Any:
    """The state that :func:`pack` made bytes of, its tensors and arrays its own.

    Raises:
        ValueError: if the bytes are no such state.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        tree = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][TREE])
        return _put_together(tree, tensors)
    except (SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no packed state, {type(error).__name__}: {error}") from error


def _taken_apart(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        return ["tensor", _put(value.detach(), tensors)]
    if isinstance(value, np.ndarray | np.generic):
        return _array(value, place, tensors)
    if kind is bytes:
        return ["bytes", base64.b64encode(value).decode()]
    if kind in TABLES:
        pairs = [
            [_taken_apart(key, f"a key of {place}", tensors), _taken_apart(one, f"{place}[{key!r}]", tensors)]
            for key, one in value.items()
        ]
        return [TABLES[kind][0], pairs]
    if kind in PARTS:
        parts = [_taken_apart(one, f"{place}[{i}]", tensors) for i, one in enumerate(value)]
        # A set has no order of its own, and bytes must not depend on the one it has in this process.
        return [PARTS[kind][0], sorted(parts, key=json.dumps) if kind in (set, frozenset) else parts]
    raise TypeError(
        f"{place} is a {kind.__name__}, must be numbers, text, tensors or arrays, in dicts, lists or tuples"
    )


def _array(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> list[Any]:
    kind = "array" if isinstance(value, np.ndarray) else "number"
    try:
        return [kind, _put(torch.from_numpy(np.array(value, order="C", subok=False)), tensors)]
    except TypeError:
        raise TypeError(f"{place} is an array of {value.dtype}, must be of numbers or bool") from None


def _put(tensor: torch.Tensor, tensors: dict[str, torch.Tensor]) -> str:
    """Keep a copy: a file has no two names for the same memory. Names sort in the order of the tree."""
    name = f"{len(tensors):06d}"
    tensors[name] = tensor.cpu().clone(memory_format=torch.contiguous_format)
    return name


def _put_together(tree: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, inside = tree
    if kind == "tensor":
        return tensors[inside]
    if kind in ("array", "number"):
        array = tensors[inside].numpy()
        return array if kind == "array" else array[()]
    if kind == "bytes":
        return base64.b64decode(inside)
    for called, make in TABLES.values():
        if kind == called:
            return make([(_put_together(key, tensors), _put_together(one, tensors)) for key, one in inside])
    for called, make in PARTS.values():
        if kind == called:
            return make([_put_together(one, tensors) for one in inside])
    raise ValueError(f"'{kind}' in the tree")
