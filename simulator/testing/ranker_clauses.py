"""Clauses of the contract that are a ranker's own."""

from __future__ import annotations

import numpy as np

from simulator.records import PAD, take
from simulator.testing.bench import Bench
from simulator.testing.stage import ROWS, K


def shapes(bench: Bench) -> str:
    """Forms for wide, narrow and single requests, and one width of the hidden vector."""
    plugin = bench.trained()
    requests, ads = plugin.probe(), plugin.everything()
    asked = ((requests, ads), (requests, ads[:, :1]), (take(requests, slice(0, 1)), ads[:1, :K]))
    widths = {plugin.rank(r, a).hidden.shape[2] for r, a in asked}
    if len(widths) > 1:
        plugin.broken(f"ranked.hidden has widths {sorted(widths)}, must have one")
    return ""


def probabilities(bench: Bench) -> str:
    """Predictions in [0, 1]; hidden vectors finite, in the half precision of the log too."""
    for plugin in (bench.make(), bench.trained()):
        ranked = plugin.rank(plugin.probe(), plugin.everything())
        inside = (ranked.pctr >= 0) & (ranked.pctr <= 1)
        if not inside.all():
            plugin.broken(f"ranked.pctr == {ranked.pctr[~inside][0]}, must be in [0, 1]")
        # 65504 is the largest half float.
        fits = np.abs(ranked.hidden) <= np.finfo(np.float16).max
        if not fits.all():
            plugin.broken(f"ranked.hidden == {ranked.hidden[~fits][0]}, must be finite in half precision")
    return ""


def pads(bench: Bench) -> str:
    """A pad gets pctr 0, and pads change no other prediction."""
    plugin = bench.trained()
    ads = plugin.everything()
    pad = np.broadcast_to(np.arange(ads.shape[1]) % 3 == 0, ads.shape)
    full = plugin.rank(plugin.probe(), ads).pctr
    some = plugin.rank(plugin.probe(), np.where(pad, np.int32(PAD), ads)).pctr
    if some[pad].any():
        plugin.broken(f"ranked.pctr == {some[pad].max()} at a pad, must be 0")
    if not np.allclose(full[~pad], some[~pad], rtol=1e-4, atol=1e-6):
        plugin.broken("pads among the ads change the predictions of the others")
    plugin.rank(plugin.probe(), np.full((ROWS, K), PAD, dtype=np.int32))
    return ""


OWN = {"shapes": shapes, "probabilities": probabilities, "pads": pads}
