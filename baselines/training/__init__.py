"""The online trainer of any two-tower retriever, and what all models learn with.

Reading order:

1. ``features`` and ``counters``: what a model sees of a request and an ad; the online click rates that it may see.
2. ``tower``: training, publication and serving of two towers, over ``score`` (what their outputs are worth together)
   and ``softmax`` (the second loss); ``assembly`` puts a retriever together.
3. ``extras`` is the slot for vectors (``read``, ``observe``, ``publish``) that somebody else may fill, ``auxiliary``
   the slot for a further loss.
4. ``flat_adam`` and ``rowwise_adagrad`` (over ``gather``): the optimisers of weights and of embedding tables.
5. Pieces of networks: ``stack`` (an MLP), ``rectifier`` (ReLU that spares memory on the way back), ``unit``,
   ``dropout`` (by key).
"""
