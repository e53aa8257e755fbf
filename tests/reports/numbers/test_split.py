"""The sample ratio mismatch, by hand."""

from __future__ import annotations

import pytest

from reports.numbers.split import srm


def test_srm():
    assert srm([5000, 5000], [0.5, 0.5]) == 1
    assert srm([5000, 5400], [0.5, 0.5]) < 0.001
    assert srm([1000, 9000], [0.1, 0.9]) == 1
    with pytest.raises(ValueError, match="weights == "):
        srm([1, 2], [1.0])
