"""Slates + truth -> Outcomes: examination, click and its delay, every one of them by key.

The keys are (request, slot) for the examination and (request, ad) for the click, so two arms that show the same ad in
the same request, slot and exposure history get the same outcome, whatever else either of them shows.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.special import expit

from simulator.config import Section
from simulator.keyed_random import uniforms
from simulator.records import PAD, Floats, Outcomes, Requests, Slates


class FeedbackConfig(Section):
    """Dials of what users do, and of when it is known."""

    examine_decay: float = Field(0.8, gt=0, le=1, description="slot s is examined with probability decay**s; 1 is off")
    fatigue: float = Field(0.3, ge=0, description="logit lost per unit of log(1 + earlier exposures); 0 is off")
    fatigue_days: int = Field(3, ge=1, description="days, the current one included, whose exposures count")
    click_delay: float = Field(60.0, ge=0, description="mean seconds from impression to click (exponential)")
    label_wait: int = Field(900, ge=0, description="W, seconds after which a label is taken as final")


def examine_p(slots: int, decay: float) -> Floats:
    """float32 [S]: P(examined | slot) = decay ** slot."""
    return np.asarray(decay ** np.arange(slots), dtype=np.float32)


def respond(seed: int, requests: Requests, slates: Slates, logit: Floats, config: FeedbackConfig) -> Outcomes:
    """What the users do with their slates.

    Args:
        seed: the world's seed.
        requests: R requests.
        slates: [R, S].
        logit: float32 [R, S], true logit of P(click | examined), fatigue included; ignored at pads.
        config: dials.
    """
    S = slates.ad.shape[1]
    shown = slates.ad != PAD
    request = requests.id[:, None]
    examined = (uniforms(seed, "examine", request, np.arange(S)) < examine_p(S, config.examine_decay)) & shown
    # The pad's key -1 folds to a word like any other; `shown` masks what it draws.
    click = (uniforms(seed, "click", request, slates.ad) < expit(logit)) & examined
    r, s = np.nonzero(click)
    delay = -config.click_delay * np.log(uniforms(seed, "click delay", requests.id[r], slates.ad[r, s]))
    click_at = np.full(click.shape, -1, dtype=np.int64)
    click_at[r, s] = requests.time[r] + np.floor(delay).astype(np.int64)
    return Outcomes(examined=examined, click=click, click_at=click_at)
