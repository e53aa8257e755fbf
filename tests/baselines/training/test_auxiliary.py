"""The slot for further losses: distillation arms from their spelling, alone, together, with CS3 and with DAT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.distillation.cit import CitLoss
from baselines.distillation.kd import KdLoss
from baselines.towers.dat import AugmentedVectors
from baselines.training.auxiliary import Auxiliaries, LossOnly, together
from reports.studies.arms import make_retriever, parse
from simulator.records import Requests
from simulator.testing import check_retriever
from tests.baselines.conftest import SMALL, auxiliary_of, extras_of, make_towers
from tests.baselines.distillation.test_kd import trained

ARMS = ("kd", "listkl", "cit")


def scores(world, towers, requests):
    A = world.catalog.ads.rows
    return towers.score(requests, np.broadcast_to(np.arange(A, dtype=np.int32), (len(requests), A)))


@pytest.fixture(scope="module")
def rows(log):
    """Rows in whose time the log's ranker already knew something."""
    return log[len(log) // 2 :]


def after(world, requests, arm, rows):
    """Scores of an arm that has learned the rows."""
    towers = make_towers(world, arm)
    towers.update(rows)
    towers.sync(int(rows.ready_at.max()))
    return scores(world, towers, requests)


@pytest.fixture(scope="module")
def plain(world, requests, rows):
    """Scores of the backbones alone."""
    return {arm: after(world, requests, arm, rows) for arm in ("dssm", "dssm+cs3", "dat")}


@pytest.mark.parametrize("modifier", ARMS)
@pytest.mark.parametrize("base", ["dssm", "dssm+cs3", "dat"])
def test_at_weight_0_an_arm_is_the_plain_one_bit_for_bit(world, requests, rows, plain, base, modifier):
    np.testing.assert_array_equal(after(world, requests, f"{base}+{modifier}[lam=0]", rows), plain[base])


@pytest.mark.parametrize("modifier", ARMS)
def test_the_teacher_reaches_the_towers(world, requests, rows, plain, modifier):
    found = after(world, requests, f"dssm+{modifier}", rows)
    assert np.abs(found - plain["dssm"]).max() > 1e-3
    other = replace(rows, pctr=np.sqrt(rows.pctr), hidden=rows.hidden[:, ::-1].copy())
    assert np.abs(found - after(world, requests, f"dssm+{modifier}", other)).max() > 1e-4


@pytest.mark.parametrize("modifier", ARMS)
@pytest.mark.parametrize("teacher", ["absent", "cold"])
def test_no_teacher_teaches_nothing(world, requests, rows, plain, modifier, teacher):
    """Rows that no ranker scored, or a ranker that is always wrong: the gate stays closed."""
    wrong = np.where(rows.label, 0.001, 0.999)
    pctr = (np.full(len(rows), np.nan) if teacher == "absent" else wrong).astype(np.float32)
    hidden = rows.hidden[:, :0] if teacher == "absent" else rows.hidden
    found = after(world, requests, f"dssm+{modifier}", replace(rows, pctr=pctr, hidden=hidden))
    np.testing.assert_allclose(found, plain["dssm"], atol=1e-3)


@pytest.mark.parametrize("arm", ["dssm+kd", "dssm+listkl", "dssm+cit", "dssm+kd+listkl+cit", "dat+kd", "inttower+cit"])
def test_every_arm_starts_as_its_backbone_does(world, requests, arm):
    towers, plain = make_towers(world, arm), make_towers(world, arm.partition("+")[0])
    np.testing.assert_array_equal(scores(world, towers, requests), scores(world, plain, requests))


def test_parts_are_composed_in_the_order_of_the_spelling(world):
    towers = make_towers(world, "dat+kd+cs3+cit[others=7]")
    kinds = [type(part) for part in auxiliary_of(towers).parts]
    assert kinds == [AugmentedVectors, Auxiliaries]
    assert [type(part) for part in auxiliary_of(towers).parts[1].parts] == [KdLoss, CitLoss]
    assert extras_of(towers).user_width > 0
    assert auxiliary_of(towers).user_width == towers.config.width


@pytest.mark.parametrize(
    "arm",
    [
        "dssm+kd", "dssm+listkl+cs3", "dssm+cit", "dat+kd+cit", "dssm-bare+kd", "dssm-wide+cit",
        "inttower+cit+cs3", "hit+listkl+cit", "seqtower+kd",
    ],
)  # fmt: skip
def test_restored_in_mid_stream_it_goes_on_bit_equal(world, rows, requests, arm):
    half = len(rows) // 2
    first, second = rows[:half], rows[half:]
    one, two = make_towers(world, arm), make_towers(world, arm)
    one.update(first)
    state = one.snapshot()
    for towers in (one, two, two):
        if towers is two:
            two.restore(state)
        towers.update(second)
        towers.sync(int(rows.ready_at.max()))
    np.testing.assert_array_equal(scores(world, two, requests), scores(world, one, requests))


@pytest.mark.parametrize("arm", ["dssm+kd", "dssm+listkl"])
def test_the_student_comes_to_order_as_its_teacher_does(world, log, arm):
    """A teacher who knows the true rates, of which the clicks are one noisy draw."""
    draws = np.random.default_rng(0)
    taste = draws.normal(0, 1.5, world.catalog.ads.rows).astype(np.float32)
    p = 1 / (1 + np.exp(1.0 - taste[log.ad]))
    rows = replace(log, pctr=p.astype(np.float32), label=draws.random(len(log)) < p)

    def agreement(arm):
        towers = make_towers(world, arm)
        rng = np.random.default_rng(1)
        for _ in range(2):
            towers.update(replace(rows, slot=np.zeros_like(rows.slot)))
        towers.sync(int(rows.ready_at.max()))
        users = log[rng.choice(len(log), 30)]
        u = towers.encode_users(_requests(users))
        return np.mean([np.corrcoef(one, taste)[0, 1] for one in (u @ towers.items().T).numpy()])

    assert agreement(arm) > agreement("dssm") + 0.02


def _requests(rows):
    arm = np.zeros(len(rows), dtype=np.int8)
    return Requests(id=rows.request, user=rows.user, time=rows.time, context=rows.context, arm=arm)


def test_the_contract_holds_for_all_of_them_at_once():
    spelling = parse("dssm+kd+listkl+cit")
    checks = check_retriever(
        lambda catalog, seed: make_retriever(spelling, catalog, seed, SMALL, {}), name="dssm+kd+listkl+cit"
    )
    assert {check.name: check.detail for check in checks if not check.passed} == {}


class TestTheSlot:
    def test_together(self):
        one, two = LossOnly(), LossOnly()
        assert together() is None
        assert together(None, one, None) is one
        assert together(one, None, two).parts == [one, two]

    def test_there_is_something_to_compose(self):
        with pytest.raises(ValueError, match=r"parts == \[\], must hold"):
            Auxiliaries([])

    def test_each_part_gets_the_vectors_that_it_read(self):
        class Part:
            def __init__(self, user_width, item_width, start):
                self.user_width, self.item_width, self.start, self.seen = user_width, item_width, start, None

            def read(self, users, items):
                of_users = torch.full((len(users), self.user_width), self.start)
                return of_users, torch.full((len(items), self.item_width), -self.start)

            def loss(self, batch):
                self.seen = batch.user_read, batch.item_read
                return torch.tensor(self.start)

        parts = [Part(2, 1, 3.0), Part(0, 0, 5.0), Part(1, 4, 7.0)]
        both = Auxiliaries(parts)
        assert (both.user_width, both.item_width) == (3, 5)
        users, items = both.read(torch.arange(4), torch.arange(4))
        assert users[0].tolist() == [3.0, 3.0, 7.0]
        rows = type("Rows", (), {"__len__": lambda _: 4, "label": np.zeros(4, dtype=bool)})()
        assert float(both.loss(trained(rows)._replace(user_read=users, item_read=items))) == 15.0
        for part in parts:
            user, item = part.seen
            assert user.shape == (4, part.user_width)
            assert item.shape == (4, part.item_width)
            assert (user == part.start).all()
            assert (item == -part.start).all()


class TestSpellings:
    def test_settings_in_brackets(self, world):
        towers = make_towers(world, "dssm+kd[lam=0.3,T=2]", beta=0.5, horizon=7)
        assert (auxiliary_of(towers).config.lam, auxiliary_of(towers).config.T) == (0.3, 2)

    @pytest.mark.parametrize(
        ("arm", "line"),
        [
            ("dssm+kd[lamb=0.3]", r"^setting == 'lamb', must be one of kd's; did you mean 'lam'\?$"),
            ("dssm+cit[lam=-1]", r"^lam == -1, must be at least 0 and finite$"),
            ("popularity+kd", "must have a backbone that takes `extras`"),
            ("dssm+kd+kd", "must name each modifier once"),
            (
                "tests.baselines.training.test_auxiliary:no_slot+kd",
                "must have a backbone that takes `auxiliary` to carry kd",
            ),
        ],
    )
    def test_refusals(self, world, arm, line):
        with pytest.raises(ValueError, match=line):
            make_towers(world, arm)


def no_slot(catalog, seed, *, extras=None):
    """A backbone without the slot."""
