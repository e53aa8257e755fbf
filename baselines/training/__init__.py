"""The online trainer of any two-tower retriever, and what all models learn with.

Reading order:

1. ``features`` and ``counters``: what a model sees of a request and an ad; the online click rates that it may see.
2. ``two_tower``: two towers and the head over ``score``, what their outputs are worth together.
3. ``trainer`` learns (``config`` in its ``ranges``, ``batch``, ``softmax``), ``publication`` serves, ``retriever`` is
   both; ``assembly`` puts one together.
4. ``slots``: what reads into the towers beside ``inputs``. ``extras`` is the slot for vectors that somebody else keeps,
   ``auxiliary`` the slot for a further loss.
5. ``flat_adam`` and ``rowwise_adagrad`` (over ``gather``): the optimisers of weights and of embedding tables.
6. Pieces of networks: ``stack`` (an MLP), ``rectifier`` (ReLU that spares memory on the way back), ``unit``,
   ``dropout`` (by key).
"""
