import copy

import torch
from torch import nn

from cs3.dry_run import dry_run


def test_a_dry_run_leaves_no_trace():
    tower = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 4), nn.Dropout(0.5))
    tower[2].eval()
    feats, before = torch.randn(3, 5), copy.deepcopy(tower.state_dict())
    state = torch.get_rng_state()
    layer, executed, out = dry_run(tower, feats)
    assert layer is tower[1]
    assert executed == [layer]
    assert out.shape == (3, 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(tower.state_dict().values(), before.values(), strict=True))
    assert [m.training for m in tower] == [True, True, False]
    assert not tower[1]._forward_pre_hooks
