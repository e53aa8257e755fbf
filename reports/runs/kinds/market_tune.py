"""A search of every model's settings in a market."""

from __future__ import annotations

from dataclasses import replace

from reports.runs.kinds import tune

KIND = replace(tune.KIND, name="market-tune", command="cs3bench tune --scenario NAME")
