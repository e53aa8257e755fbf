"""Clicks -> Conversions, every one by key, and the platform's own running estimate of an ad's conversion rate.

The keys are (request, ad): two arms that win the same click win the same conversion, after the same delay. The estimate
counts only clicks whose wait is over; it never sees the truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.keyed_random import normals, uniforms
from simulator.records import MOST_SECONDS, Clicks, Conversions, Floats, Ints, Keys, Money

HOUR = 3600.0


class ConversionConfig(Section):
    """When conversions happen, and how the platform learns of them for bids per conversion (oCPC)."""

    delay_hours: float = Field(
        6.0, ge=0, le=1e6, description="median hours from click to conversion (log-normal); 0: at once"
    )
    delay_sd: float = Field(1.0, ge=0, le=10, description="sd of log hours")
    delay_price: float = Field(
        0.3, ge=-10, le=10, description="log hours more per unit of the ad's price level: costly goods take time"
    )
    wait_hours: float = Field(
        24.0, ge=0, le=1e6, description="after which a click without a conversion is counted as none"
    )
    prior_rate: float = Field(0.05, ge=1e-9, lt=1, description="the platform's opening guess of the rate")
    prior_clicks: float = Field(
        50.0, ge=1e-6, le=1e15, description="weight of the guess, in clicks; of the mean, in an ad's rate"
    )


def convert(
    seed: int,
    clicks: Clicks,
    rate: Floats,
    price: Floats,
    median_value: Money,
    value_sd: float,
    config: ConversionConfig,
) -> Conversions:
    """What clicks lead to.

    Args:
        seed: the world's seed.
        clicks: n of them.
        rate: float32 [n], true P(conversion | click).
        price: float32 [n], the ad's price level.
        median_value: float64 [n], median money of a conversion.
        value_sd: sd of log money.
        config: dials.
    """
    buys = np.flatnonzero(uniforms(seed, "conversion", clicks.request, clicks.ad) < rate)
    request, ad, click_at = clicks.request[buys], clicks.ad[buys], clicks.at[buys]
    log_hours = config.delay_sd * normals(seed, "conversion delay", request, ad) + config.delay_price * price[buys]
    delay = config.delay_hours * HOUR * np.exp(log_hours)
    return Conversions(
        request=request,
        user=clicks.user[buys],
        ad=ad,
        click_at=click_at,
        at=click_at + np.minimum(np.floor(delay), MOST_SECONDS).astype(np.int64),
        value=median_value[buys] * np.exp(value_sd * normals(seed, "conversion value", request, ad)),
    )


class ConversionRates:
    """The platform's running, smoothed conversion rate of each ad, from matured clicks.

    A click matures ``wait_hours`` after it was known; a conversion counts if it came by then. The mean rate starts at
    the prior; an ad's own rate is shrunk to the mean.

    Args:
        ads: number of ads.
        config: dials.
    """

    def __init__(self, ads: int, config: ConversionConfig) -> None:
        self._config = config
        self._clicks = np.zeros(ads)
        self._bought = np.zeros(ads)
        self._ad: Keys = np.empty(0, dtype=np.int32)
        self._ready: Ints = np.empty(0, dtype=np.int64)
        self._buys: npt.NDArray[np.float64] = np.empty(0)

    def put(self, clicks: Clicks, found: Conversions) -> None:
        """Enqueue clicks with what they led to."""
        wait = int(self._config.wait_hours * HOUR)
        ads = self._clicks.size
        key, bought_key = (c.request * ads + c.ad for c in (clicks, found))
        in_time = bought_key[found.at <= found.click_at + wait]
        self._ad = np.concatenate([self._ad, clicks.ad])
        self._ready = np.concatenate([self._ready, clicks.at + wait])
        self._buys = np.concatenate([self._buys, np.isin(key, in_time)])

    def mature(self, now: int) -> None:
        """Count the clicks whose wait is over at ``now``."""
        ripe = self._ready <= now
        if ripe.any():
            size = self._clicks.size
            self._clicks += np.bincount(self._ad[ripe], minlength=size)
            self._bought += np.bincount(self._ad[ripe], weights=self._buys[ripe], minlength=size)
            self._ad, self._ready, self._buys = self._ad[~ripe], self._ready[~ripe], self._buys[~ripe]

    def rates(self) -> Money:
        """float64 [A]: the estimate by which bids per conversion become bids per click."""
        c = self._config
        mean = (self._bought.sum() + c.prior_rate * c.prior_clicks) / (self._clicks.sum() + c.prior_clicks)
        return np.asarray((self._bought + mean * c.prior_clicks) / (self._clicks + c.prior_clicks))
