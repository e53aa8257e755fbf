"""Every test of numbers draws from a generator of its own."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(11)
