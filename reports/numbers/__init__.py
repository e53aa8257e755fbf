"""Arrays in, numbers out. No model, no world, no picture; formulas with their sources are in docs/formulas.md.

- One arm in one world: ``discrimination`` (AUC), ``calibration``, ``recall``, ``agreement`` (tau), ``quantiles``,
  ``inequality``; ``labelled`` checks their rows.
- Arms over worlds: ``paired``, ``resampling`` (over users), ``corrections``, ``plateau``, ``factorial``, ``rounding``.
- Live tests: ``lifts``, ``sequential``, ``looks``, ``split``, ``power``, ``quality`` of an estimator.
- What is said in the end: ``verdict`` with its ``guardrails``, ``mechanisms``, ``claims``, ``untested``, ``published``.
"""
