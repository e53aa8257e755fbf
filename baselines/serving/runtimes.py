"""What runs a tower's layers: from the concatenated input [R, w] to unit vectors [R, d], on one thread.

``onnx`` builds a graph of the layers and runs it in ONNX Runtime; ``numpy`` runs them one call after the other in
memory kept between requests. At batch 1 the products are a few microseconds each, so what counts is what is paid per
call: docs/performance.md has both beside a bare NumPy forward, torch eager and TorchScript.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from baselines.serving.layers import Gate, Layer
from simulator.records import Floats

Encode = Callable[[Floats], Floats]
"""Inputs float32 [R, w] -> unit vectors float32 [R, d]. The thread's next call may overwrite what it returns."""

OPSET, IR = 17, 9
"""Versions of the operators and of the format: any ONNX Runtime since 1.14 reads them."""
TINY = 1e-8
"""Norms below this one do not scale."""


class NumpyEncode:
    """The layers one call after the other. Each thread has its own memory.

    Args:
        layers: at least one.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        # With a column of ones at the end of each input, a bias is one more row of its weight.
        self._layers = [
            (
                np.concatenate([layer.weight, layer.bias[None]]),
                layer.weight[:0] if layer.gate is None else _half(layer.gate),
                0 if layer.gate is None else layer.gate.cycles,
                layer.relu,
            )
            for layer in layers
        ]
        self._mine = threading.local()

    def __call__(self, x: Floats) -> Floats:
        """Unit vectors [R, d] of inputs [R, w]."""
        R = len(x)
        held: dict[int, list[Any]] = self._mine.__dict__.setdefault("held", {})
        memory = held.get(R)
        if memory is None:
            held.clear()
            memory = held[R] = self._memory(R)
        y: Floats = memory[0]
        y[:, :-1] = x
        for (weight, gate, cycles, relu), (out, tilted, gated) in zip(self._layers, memory[1], strict=True):
            given = y
            for _ in range(cycles):
                np.matmul(y, gate, out=tilted)
                np.tanh(tilted, out=tilted)
                np.multiply(tilted, given[:, :-1], out=tilted)
                np.add(tilted, given[:, :-1], out=gated[:, :-1])
                y = gated
            np.matmul(y, weight, out=out[:, :-1])
            if relu:
                np.maximum(out[:, :-1], 0.0, out=out[:, :-1])
            y = out
        u = y[:, :-1]
        norm = np.sqrt(np.einsum("rd,rd->r", u, u))
        unit: Floats = np.divide(u, np.maximum(norm, TINY)[:, None], out=memory[2])
        return unit

    def _memory(self, rows: int) -> list[Any]:
        def ones(width: int) -> Floats:
            return np.ones((rows, width + 1), dtype=np.float32)

        first = ones(len(self._layers[0][0]) - 1)
        each = []
        for weight, _, cycles, _ in self._layers:
            w = (len(weight) - 1) * (cycles > 0)
            each.append((ones(weight.shape[1]), np.empty((rows, w), dtype=np.float32), ones(w)))
        return [first, each, np.empty((rows, self._layers[-1][0].shape[1]), dtype=np.float32)]


def _half(gate: Gate) -> Floats:
    """``2 sigma(a) = 1 + tanh(a / 2)``: half of the gate, its bias the last row."""
    return np.float32(0.5) * np.concatenate([gate.weight, gate.bias[None]])


def onnx_graph(layers: Sequence[Layer]) -> bytes:
    """The layers and the normalisation as an ONNX model: input ``x`` [R, w], output ``u`` [R, d]."""
    onnx: Any = importlib.import_module("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes: list[Any] = []
    weights: list[Any] = []

    def constant(array: Floats) -> str:
        weights.append(numpy_helper.from_array(array, f"w{len(weights)}"))
        return f"w{len(weights) - 1}"

    def run(operator: str, *inputs: str, out: str = "", **settings: Any) -> str:
        name = out or f"y{len(nodes)}"
        nodes.append(helper.make_node(operator, list(inputs), [name], **settings))
        return name

    y = "x"
    for layer in layers:
        weight = layer.weight
        if layer.gate is not None:
            # The doubling is the weights': the gate's for all cycles but the first, which reads the input itself.
            given, tilt = y, constant(layer.gate.bias)
            for cycle in range(layer.gate.cycles):
                M = constant(layer.gate.weight * np.float32(2.0 if cycle else 1.0))
                y = run("Mul", given, run("Sigmoid", run("Gemm", y, M, tilt)))
            weight = 2 * weight
        y = run("Gemm", y, constant(weight), constant(layer.bias))
        if layer.relu:
            y = run("Relu", y)
    # Not LpNormalization, which divides zero by zero.
    norm = run("ReduceL2", y, axes=[1], keepdims=1)
    run("Div", y, run("Max", norm, constant(np.full(1, TINY, dtype=np.float32))), out="u")
    float32 = onnx.TensorProto.FLOAT
    ends = [
        [helper.make_tensor_value_info(name, float32, ["R", width])]
        for name, width in (("x", layers[0].weight.shape[0]), ("u", layers[-1].weight.shape[1]))
    ]
    graph = helper.make_graph(nodes, "user tower", *ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return bytes(model.SerializeToString())


def onnx_encode(layers: Sequence[Layer]) -> Encode:
    """The layers in ONNX Runtime, on the thread that calls."""
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(onnx_graph(layers), options, providers=["CPUExecutionProvider"])
    run, wanted = session.run, ["u"]

    def encode(x: Floats) -> Floats:
        u: Floats = run(wanted, {"x": x})[0]
        return u

    return encode


RUNTIMES: dict[str, Callable[[Sequence[Layer]], Encode]] = {"onnx": onnx_encode, "numpy": NumpyEncode}
