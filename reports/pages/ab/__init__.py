"""The page of an A/B run, a subject a file: effect, money, models, segments, budgets."""
