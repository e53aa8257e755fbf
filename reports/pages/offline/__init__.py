"""The page of a replayed log, and of a sweep over one of its dials."""
