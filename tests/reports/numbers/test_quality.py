"""The quality of an estimator, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from reports.numbers.quality import quality


def test_quality_of_an_estimator():
    rng = np.random.default_rng(19)
    truth = rng.normal(0.1, 0.02, 500)
    estimate = truth + 0.03 + rng.normal(0, 0.01, 500)
    found = quality(estimate, estimate - 0.0196, estimate + 0.0196, truth)
    assert found.bias_lo < 0.03 < found.bias_hi
    assert found.sd == pytest.approx(0.01, rel=0.15)
    assert found.coverage < 0.3
    assert found.sign_errors == 0
    assert quality([-0.1, 0.1, np.nan], [-1, 0, 0], [1, 0.2, 0], [0.1, 0.1, 0.1]).sign_errors == 0.5
    assert quality([np.nan], [0], [0], [0]).n == 0
