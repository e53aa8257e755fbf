"""The models that CS3 is measured with and against: backbones, rankers, rivals. They know neither ``cs3`` nor the truth.

One paper, one file; its header cites the paper and lists the departures. A retriever or ranker fits the protocols of
``simulator.plugins`` by shape; the tower trainer offers a slot for *extras* (an object with ``read``, ``observe`` and
``publish``), which somebody else fills.
"""
