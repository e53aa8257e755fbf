"""The studies, one question a file.

- ``ab``: does the treatment earn more than the control? (``cs3bench ab``)
- ``cells``: what one worker computes: a world's burn-in, an arm's market.
- ``evaluation``: the measures that need the truth or a frozen evaluation ranker.
- ``summary``: cells in, ``results.json`` out.
- ``card``: what does a world look like beside real logs (``real_facts``)? (``cs3bench world``) ``calibrate``: its
  constants, fitted to that card and to nothing else.
- ``tuning``: which hyper-parameters? the same grid for every arm, on a world that no report uses.
- ``offline``: does it learn on a real log? (``cs3bench offline``)
- ``late``: what do the ways to candidates of late interaction find, and how fast, in large catalogues? (``cs3bench
  late``) Over ``late_items``, trained ads and as many more as are wanted, and ``late_ways``.
- ``replay``: a log lived through again, test-then-train; ``averages``: the floor that every model must be above.
- ``workers``: processes that compute cells, and their bar; ``manifests``: what a run says of itself.
"""
