"""A model's state as data: there and back to the bit, the same bytes every time, and nothing in a file that can run."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from collections import OrderedDict, deque
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

import reports
from reports.studies.contract import check_name
from reports.studies.machine.packing import pack, unpack
from reports.studies.machine.states import load_array, load_arrays, load_state, save_array, save_state
from simulator.retrieval import PopularityRetriever
from simulator.seal import seal

SHARED = torch.arange(6.0).reshape(2, 3)
STATE = {
    "weights": OrderedDict(a=SHARED, b=SHARED.T, empty=torch.zeros(0, 4), half=torch.ones(3, dtype=torch.bfloat16)),
    "optimiser": {0: {"step": torch.tensor(7)}, 1: None},
    "odd": [float("nan"), float("-inf"), 0.1, 1 << 100, True, "é\ud800", b"\x00\xff", ("beta", 0.9)],
    "arrays": deque([np.arange(5)[::2], np.float32(0.5), np.zeros((2, 0), dtype=np.float16), np.array([True])]),
    "sets": ({"b", "a"}, frozenset([1])),
    ("a", 1): torch.Size([2]),
}


class Pair(NamedTuple):
    a: int


def same(one, other) -> bool:
    assert type(one) is type(other), (one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    return one == other or one != one


def test_there_and_back():
    again = unpack(pack(STATE))
    assert same(STATE, again)
    again["arrays"][0][0] = 9
    again["weights"]["a"][0, 0] = 9
    assert SHARED[0, 0] == 0, "its own memory"
    assert same(unpack(pack(random.Random(1).getstate())), random.Random(1).getstate())
    draws = np.random.default_rng(1).bit_generator.state
    assert same(unpack(pack(draws)), draws)


def test_the_same_bytes_in_another_process():
    code = "import sys; from tests.reports.studies.test_packing import *; sys.stdout.buffer.write(pack(STATE))"
    home = Path(reports.__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=home).stdout
    assert found == pack(STATE) == pack(unpack(pack(STATE)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), r"^state\['a'\]\[1\] is a object, must be numbers, text, tensors or arrays"),
        (Pair(1), r"is a Pair, must be"),
        (np.array(["x"]), r"is an array of <U1, must be of numbers or bool"),
        (np.array([object()]), r"is an array of object"),
    ],
)
def test_what_is_no_data_is_refused_with_its_place(value, said):
    with pytest.raises(TypeError, match=said):
        pack({"a": [1, value]})


class NoData(PopularityRetriever):
    """A retriever whose snapshot no run could keep."""

    def snapshot(self):
        return {"kept": Pair(1)}

    def restore(self, state):
        pass


def test_the_contract_check_says_what_a_run_could_not_keep():
    (found,) = [one for one in check_name(f"{__name__}:NoData") if one.name == "snapshot"]
    assert not found.passed
    assert "keeping its snapshot in a file raised TypeError: state['kept'] is a Pair, must be numbers" in found.detail


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("EXECUTED"),)


@pytest.mark.parametrize("content", [b"", b"{}", pack(STATE)[:-5], pack(STATE)[:100], pickle.dumps(Trap())])
def test_what_is_no_state_is_one_line(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arm.safetensors").write_bytes(content)
    seal(tmp_path)
    with pytest.raises(
        ValueError, match=r"arm.safetensors: damaged or incomplete \(.*\); remove .* to compute it again$"
    ):
        load_state(tmp_path / "arm.safetensors", tmp_path)
    assert not (tmp_path / "EXECUTED").exists()


def test_a_pickle_in_an_array_is_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "hidden.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "log.npz", pctr=np.array([Trap()], dtype=object))
    seal(tmp_path)
    for read, name in ((load_array, "hidden.npy"), (load_arrays, "log.npz")):
        with pytest.raises(ValueError, match=rf"{name}: damaged or incomplete \(.*pickle"):
            read(tmp_path / name, tmp_path)
    assert not (tmp_path / "EXECUTED").exists()


@pytest.mark.parametrize("values", [np.zeros((3, 2)), np.zeros(4, dtype=np.int64), np.float64(1)])
def test_an_array_of_another_kind_or_length(tmp_path, values):
    save_array(tmp_path / "hidden.npy", values)
    seal(tmp_path)
    with pytest.raises(ValueError, match=r"hidden.npy: damaged or incomplete \(holds .*, must "):
        load_array(tmp_path / "hidden.npy", tmp_path, rows=4)


def test_a_flipped_bit_is_seen(tmp_path):
    save_state(tmp_path / "arm.safetensors", STATE)
    seal(tmp_path)
    content = bytearray((tmp_path / "arm.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "arm.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"arm.safetensors: damaged or incomplete \(its digest"):
        load_state(tmp_path / "arm.safetensors", tmp_path)
