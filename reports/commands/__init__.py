"""``cs3bench``: ``main`` and one file a command; ``options`` and ``engine`` are what studies share."""
