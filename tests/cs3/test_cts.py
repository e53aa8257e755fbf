import pytest
import torch

from cs3.cts import cts_vector


def test_cts_vector():
    assert cts_vector(torch.zeros(2, 5)).shape == (2, 5)
    assert torch.equal(cts_vector(torch.arange(12.0).reshape(2, 2, 3))[1], torch.arange(6.0, 12.0))
    assert torch.equal(cts_vector(torch.ones(2, 3, 50)), torch.ones(2, 50))
    with pytest.raises(ValueError, match=r"tower output == \(2,\)"):
        cts_vector(torch.zeros(2))
