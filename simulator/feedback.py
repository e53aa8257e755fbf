"""Slates + truth -> Outcomes: examination, click and its delay, every one of them by key.

The keys are (request, slot) for the examination and (request, ad) for the click, so two arms that show the same ad in
the same request, slot and exposure history get the same outcome, whatever else either of them shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field
from scipy.special import expit

from simulator.config import Section
from simulator.keyed_random import uniforms
from simulator.records import MOST_IDS, MOST_SECONDS, PAD, Floats, Impressions, Ints, Keys, Outcomes, Requests, Slates


class FeedbackConfig(Section):
    """Dials of what users do, and of when it is known."""

    examine_decay: float = Field(0.8, gt=0, le=1, description="slot s is examined with probability decay**s; 1 is off")
    fatigue: float = Field(0.3, ge=0, le=100, description="logit lost per unit of log(1 + earlier exposures); 0 is off")
    fatigue_days: int = Field(3, ge=1, le=MOST_IDS, description="days, the current one included, whose exposures count")
    click_delay: float = Field(
        60.0, ge=0, le=MOST_SECONDS, description="mean seconds from impression to click (exponential)"
    )
    label_wait: int = Field(900, ge=0, le=MOST_SECONDS, description="W, seconds after which a label is taken as final")
    label_flips: float = Field(0.0, ge=0, le=1, description="share of logged labels that are wrong; 0 is off")
    lost_clicks: float = Field(0.0, ge=0, le=1, description="share of clicks that are charged but not logged; 0 is off")
    duplicate_clicks: float = Field(0.0, ge=0, le=1, description="share of clicks sent, and charged, twice; 0 is off")


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
    click_at = np.full(click.shape, -1, dtype=np.int64)
    click_at[r, s] = requests.time[r] + click_delay(seed, requests.id[r], slates.ad[r, s], config)
    return Outcomes(examined=examined, click=click, click_at=click_at)


def click_delay(seed: int, request: Ints, ad: Keys, config: FeedbackConfig) -> Ints:
    """Whole seconds from impression to click, by key -> int64 [n]."""
    delay = -config.click_delay * np.log(uniforms(seed, "click delay", request, ad))
    return np.floor(delay).astype(np.int64)


def times_sent(seed: int, request: Ints, ad: Keys, config: FeedbackConfig) -> Ints:
    """How often each click [n] is sent and charged: 1, or 2 for a duplicate."""
    if not config.duplicate_clicks:
        return np.ones(request.size, dtype=np.int64)
    return 1 + (uniforms(seed, "click sent twice", request, ad) < config.duplicate_clicks)


def misreported(seed: int, log: Impressions, config: FeedbackConfig) -> Impressions:
    """The log as it reaches the learners: some clicks lost, some labels wrong. Money is charged before."""
    if not (config.lost_clicks or config.label_flips):
        return log
    lost = uniforms(seed, "click lost", log.request, log.ad) < config.lost_clicks
    wrong = uniforms(seed, "label flipped", log.request, log.ad) < config.label_flips
    return replace(log, label=(log.label & ~lost) ^ wrong)
