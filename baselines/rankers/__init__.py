"""Rankers: one paper, one file; ``online`` trains and serves any of them.

``network`` is what it asks of one and the top that all share, ``crosses`` the features that only rankers see. ``dnn``
first; ``din`` and ``bst`` attend to the history, ``dcnv2`` and ``eulernet`` (over ``buckets``) cross the features.
``untrained`` is a control.
"""
