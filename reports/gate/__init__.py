"""A regression gate for latency that holds on noisy machines: ``cs3bench gate --base REF``.

Reading order:

1. ``suite``: the registry of benchmarks, which ``tests/bench`` runs too, and the manifest that declares them.
2. ``trees``: the base revision beside the head; ``worker``: the script that runs benchmarks over either;
   ``process``: a handle on one.
3. ``pairs``: who is timed when; ``decide``: log ratios to bounds, false alarms, the smallest slowdown seen.
4. ``run``: all of it in numbered steps; ``counts``: instructions as a second witness; ``selftest``: does it work?
5. ``markdown``, ``figure``, ``command``: what is shown.
"""
