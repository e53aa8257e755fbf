"""Late interaction: ``maxsim``, and three ways from its facets to candidates.

``scan`` scores every ad; ``facet_mips`` and ``muvera`` score some; ``finder`` makes any of them a retriever's.
"""
