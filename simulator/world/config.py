"""Dials of the entities and of the truth."""

from __future__ import annotations

from pydantic import Field

from simulator.config import Section
from simulator.records import MOST_IDS

LATENT = 16
"""Width k of the latent interest and the latent content."""
DENSE = 8
"""Width of the noisy dense projections that models see."""
REGIONS, AGES, DEVICES, PLACEMENTS, HOURS = 30, 7, 4, 2, 24
HISTORY_POOL = 24
"""Items that compete, under the user's true affinity, for one place of her organic history."""
MOST_SD = 10.0
"""Of a normal draw on a log or logit scale: at thirty sds together the exponential still fits."""


class WorldConfig(Section):
    """Dials of the entities and of the truth. Sds are on the logit scale.

    The levels' sds are the world card's (KuaiRand-Pure: users 0.74, items 0.68); ``interaction_sd`` is of the same
    order, and ``low_rank_share`` 0.5 favours neither a dot product nor crosses.
    """

    users: int = Field(8000, ge=1, le=MOST_IDS, description="of the whole run, late arrivals included")
    ads: int = Field(2000, ge=2, le=MOST_IDS, description="of the whole run, late starters included")
    advertisers: int = Field(150, ge=1, le=MOST_IDS, description="campaigns belong to one of them each, at random")
    ads_per_campaign: float = Field(4.0, ge=1, le=MOST_IDS, description="on average")
    categories: int = Field(20, ge=1, le=MOST_IDS, description="of ads and of history items")
    segments: int = Field(8, ge=1, le=MOST_IDS, description="of users")
    activity_sd: float = Field(0.888, ge=0, le=MOST_SD, description="sd of log activity; 0.888 is a Gini of 0.47")
    base_logit: float = Field(-4.2, ge=-15, le=15, description="level of the click rate; -4.2 is 1.5 %")
    user_sd: float = Field(0.74, ge=0, le=MOST_SD, description="sd of the users' levels w_u")
    quality_sd: float = Field(0.68, ge=0, le=MOST_SD, description="sd of the ads' levels q_a")
    interaction_sd: float = Field(
        0.8, ge=0, le=MOST_SD, description="sd of what is neither level: low rank and crosses"
    )
    low_rank_share: float = Field(
        0.5, ge=0, le=1, description="share of the interaction's variance that a dot product can learn"
    )
    drift_half_life: float = Field(14.0, ge=0, description="days; 0 switches drift off")
    category_drift_sd: float = Field(0.15, ge=0, le=MOST_SD, description="sd of the slow drift of category popularity")
    feature_noise: float = Field(1.0, ge=0, le=100, description="sd of the noise on dense features of unit variance")
    missing: float = Field(0.05, ge=0, le=1, description="share of missing observable codes")
    segment_accuracy: float = Field(0.8, ge=0, le=1, description="share of users who report their true segment")
    history_length: int = Field(20, ge=1, le=MOST_IDS, description="items of organic behaviour that are kept a user")
    history_days: float = Field(30.0, ge=0, le=3650, description="days of organic behaviour before the run")
    history_per_day: float = Field(0.7, ge=0, le=1, description="chance that a user adds one item on a day")
    history_temperature: float = Field(
        1.0, ge=1e-6, le=1e6, description="how strictly history follows interest; low is strict"
    )
    new_ads: float = Field(0.15, ge=0, le=1, description="share of ads that start during the run")
    ending_ads: float = Field(0.10, ge=0, le=1, description="share of ads that end during the run")
    new_users: float = Field(0.10, ge=0, le=1, description="share of users who arrive during the run")
    bid_sd: float = Field(
        0.72, ge=0, le=MOST_SD, description="sd of log bid; 0.72 is the price CV 0.83 of iPinYou 1458"
    )
    bid_advertiser_share: float = Field(
        0.5, ge=0, le=1, description="of log bid's variance, shared by an advertiser's ads"
    )
    budget_clicks: float = Field(
        150.0, gt=0, le=1e15, description="median daily campaign budget, in clicks at its mean bid"
    )
    budget_sd: float = Field(1.0, ge=0, le=MOST_SD, description="sd of log budget: heavy-tailed")
    bots: float = Field(0.0, ge=0, lt=1, description="share of users who are bots; 0 is off")
    bot_rate: float = Field(0.3, gt=0, lt=1, description="chance that a bot clicks what it examines, whatever it is")
    bot_activity: float = Field(5.0, ge=1e-6, le=1e6, description="a bot's request rate, relative to a person's")
    conversion_rate: float = Field(0.0, ge=0, lt=1, description="P(conversion | click) in the middle; 0 is off")
    conversion_user_sd: float = Field(0.3, ge=0, le=MOST_SD, description="sd of the users' levels of converting")
    landing_sd: float = Field(0.6, ge=0, le=MOST_SD, description="sd of the ads' landing quality")
    conversion_interaction_sd: float = Field(
        0.4, ge=0, le=MOST_SD, description="half by segment and category, half by price"
    )
    conversion_value: float = Field(
        20.0, ge=1e-6, le=1e15, description="median money of a conversion, to its advertiser"
    )
    value_category_sd: float = Field(0.5, ge=0, le=MOST_SD, description="sd of a category's log value")
    value_sd: float = Field(0.5, ge=0, le=MOST_SD, description="sd of log value inside a category")
    ocpc_share: float = Field(0.0, ge=0, le=1, description="share of campaigns that bid per conversion; 0 is off")
