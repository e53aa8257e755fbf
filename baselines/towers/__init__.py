"""Two-tower backbones: one paper, one file.

``dssm`` first; ``inttower`` and ``hit`` return facets, ``seqtower`` is a transformer over the history, ``dat`` has
vectors of its own. ``controls`` have what a mechanism has, except what it claims to work by.
"""
