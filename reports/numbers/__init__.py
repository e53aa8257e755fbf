"""Arrays in, numbers out: metrics, statistics, estimators, the rule of the verdict. No model, no world, no picture."""
