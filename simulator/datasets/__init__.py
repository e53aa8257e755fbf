"""Real logs in the same nouns: what was shown and clicked somewhere real, as ``Catalog`` and ``Impressions``.

Reading order:

1. ``delimited``: text files in, columns out; every malformed row is counted and named by its line.
2. ``kuairand``: KuaiRand-Pure, short videos, one row per exposure.
"""
