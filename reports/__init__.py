"""From logs to a verdict: metrics, statistics, figures, the page, and the command line that runs the studies.

Reading order:

1. ``metrics``: AUC, recall, tau, calibration; ``statistics``: paired worlds, intervals, corrections; ``verdict``: the
   rule. Pure functions of arrays; none sees a model or the world.
2. ``arms``: composes an arm from its spelling, e.g. ``dssm+cs3@dnn``.
3. ``studies``: one question, one file.
4. ``figures`` and ``page`` (with ``sections`` and ``wording``): results in, pictures and one HTML file out; the same
   of a replayed log: ``offline_figures``, ``offline_page``, ``offline_sections``; ``published``: the paper's figures;
   of late interaction at scale: ``late_figures``, ``late_page``.
5. ``gate``: has anything become slower than at another revision? With the registry of benchmarks.
6. ``cli``: ``cs3bench``.
"""
