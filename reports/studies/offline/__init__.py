"""A recorded log, lived through again; the same over one dial."""
