"""The models that CS3 is measured with and against: towers, rankers, rivals. They know neither ``cs3`` nor the truth.

One paper, one file; its header cites the paper and lists the departures. A retriever or ranker fits the protocols of
``simulator.plugins`` by shape.

Reading order:

1. ``features`` and ``counters``: what a model sees of a request and an ad; the online click rates that it may see.
2. ``dssm``: the two-tower retriever, over ``tower`` (training and serving), ``score`` (what its two outputs are worth
   together) and ``softmax`` (its second loss); ``assembly`` puts one together. ``extras`` is the slot (``read``,
   ``observe``, ``publish``) that somebody else may fill.
3. Further backbones: ``inttower`` and ``hit``, which return facets, ``seqtower``, a transformer over the history, and
   ``dat`` with vectors of its own.
4. ``auxiliary``: the towers' slot for a further loss. Distillation fills it with what the log says of the ``teacher``:
   ``kd``, ``listkl``, ``cit``; ``dat`` with its vectors.
5. ``maxsim``, late interaction: ``late_scan`` scores every ad, ``facet_mips`` and ``muvera`` only some. ``search``
   serves any single-vector retriever from FAISS (``faiss_index``) in the order of money (``money_index``).
6. ``ranker`` trains and serves any ranker online; ``network`` is what it asks of one and the top that all share, and
   ``crosses`` the features that only rankers see. ``dnn`` first; ``din`` and ``bst`` attend to the history, ``dcnv2``
   and ``eulernet`` (over ``buckets``) cross the features.
7. ``serving``: a published retriever frozen into a request server, without the simulator's overhead.
8. ``rowwise_adagrad``: the optimiser of the embedding tables. ``rectifier``: ReLU that spares memory on the way back.
"""
