"""The marketplace: who asks, who bids, who sees what, who clicks. It knows no model and draws no picture.

Reading order:

1. ``records``: the nouns, frozen records of arrays; shapes and units are told here once.
2. ``keyed_random``: every draw is a function of (seed, purpose, ids); the market's only source of randomness.
3. ``plugins``: the door; what a retriever and a ranker must offer, and how a name becomes one.
4. ``config``: what all sections of a scenario share.
5. ``world``: users, advertisers, ads; the catalog that models may see and the truth that they may not.
6. The steps of one tick, which never import each other: ``traffic``, ``pacing`` (who may compete, at what bid),
   ``retrieval``, ``ranking``, ``auction``, ``exposure``, ``current_truth``, ``feedback``, ``conversion``, ``log``.
7. ``served``: what a tick leaves. ``marketplace``: one tick in numbered steps; it alone knows their order.
8. ``designs``: who is assigned to which arm; ``shared_market``: two arms in one market; ``training_rows``: what each
   learns from.
9. ``scenarios``: named worlds; ``datasets``: real logs in the same nouns.
10. ``testing``: the contract check, for everyone who writes a plug-in.
"""
