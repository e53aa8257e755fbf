"""The bootstrap over users against the one that copies rows, and certified by simulation."""

import numpy as np
import pytest

from reports.numbers.discrimination import auc, auc_by_weight
from reports.numbers.resampling import PairedBootstrap, from_draws, multiplicities


def over_users(control, treatment, label, unit, replicates, rng) -> PairedBootstrap:
    """AUC of treatment - control, both on the same resamples of the units."""
    units, code = np.unique(np.asarray(unit), return_inverse=True)
    before, after = auc_by_weight(control, label), auc_by_weight(treatment, label)
    draws = [after(times[code]) - before(times[code]) for times in multiplicities(units.size, replicates, rng)]
    return from_draws(after(np.ones(code.size)) - before(np.ones(code.size)), np.array(draws))


class TestPairedBootstrap:
    @staticmethod
    def log(rng, users=120, lift=0.0):
        """Clicks that cluster by user, and two scores, the second better by ``lift``."""
        user = rng.integers(users, size=1500)
        truth = rng.normal(size=user.size) + 1.5 * rng.normal(size=users)[user]
        label = rng.random(user.size) < 1 / (1 + np.exp(1 - truth))
        noise = rng.normal(size=(2, user.size))
        return (0.4 + np.array([0, lift]))[:, None] * truth + noise, label, user

    def test_identical_scores_are_exactly_zero(self, rng):
        (score, _), label, user = self.log(rng)
        found = over_users(score, score, label, user, 50, rng)
        assert found == (0.0, 0.0, 0.0, 1.0, 50)

    def test_finds_a_real_difference(self, rng):
        (control, treatment), label, user = self.log(rng, lift=0.8)
        found = over_users(control, treatment, label, user, 200, rng)
        assert found.diff == pytest.approx(auc(treatment, label) - auc(control, label))
        assert 0 < found.lo < found.diff < found.hi
        assert found.p == pytest.approx(2 / 201)

    def test_is_the_bootstrap_that_copies_rows(self, rng):
        (control, treatment), label, user = self.log(rng, users=15)
        found = over_users(control, treatment, label, user, 30, np.random.default_rng(3))
        same = np.random.default_rng(3)
        rows = [np.flatnonzero(user == u) for u in range(15)]
        diffs = []
        for _ in range(30):
            r = np.concatenate([rows[u] for u in same.integers(15, size=15)])
            diffs.append(auc(treatment[r], label[r]) - auc(control[r], label[r]))
        assert (found.lo, found.hi) == pytest.approx(tuple(np.quantile(diffs, [0.025, 0.975])))

    def test_replicates_without_a_class_are_left_out(self, rng):
        found = over_users([1, 2], [2, 1], [0, 1], [0, 1], 100, rng)
        assert 0 < found.replicates < 100
        assert found.diff == -1.0
        none = over_users([1, 2], [2, 1], [1, 1], [0, 1], 5, rng)
        assert none.replicates == 0
        assert np.isnan(none.p)

    def test_false_alarms_by_simulation(self, rng):
        runs = []
        for _ in range(150):
            (control, treatment), label, user = self.log(rng, users=60)
            rows = slice(0, 400)
            runs.append(over_users(control[rows], treatment[rows], label[rows], user[rows], 120, rng))
        error = 3.3 * np.sqrt(0.05 * 0.95 / len(runs))
        # The percentile interval of 60 users is a little short: up to 2 points are allowed beside Monte-Carlo error.
        assert np.mean([not r.lo <= 0 <= r.hi for r in runs]) < 0.07 + error

    @pytest.mark.parametrize(("units", "replicates"), [(0, 10), (2, 0)])
    def test_wrong_input(self, rng, units, replicates):
        with pytest.raises(ValueError, match=f"units, replicates == {units}, {replicates}, must be at least 1"):
            multiplicities(units, replicates, rng)
