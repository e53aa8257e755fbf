"""How a rate counted over many simulated tests is judged.

A rate counted over n simulated tests is held to 5 of its standard errors, sqrt(p (1 - p) / n): a right estimator fails
such a test about once in two million seeds, and the seeds are fixed.
"""

from __future__ import annotations

import numpy as np

TESTS = 1000


def within(count: int, tests: int, rate: float) -> bool:
    return abs(count / tests - rate) < 5 * np.sqrt(rate * (1 - rate) / tests)
