"""The models that CS3 is measured with and against: towers, rankers, rivals. They know neither ``cs3`` nor the truth.

One paper, one file; its header cites the paper and lists the departures. A retriever or ranker fits the protocols of
``simulator.plugins`` by shape.

Rooms, from the floor up. A room imports from those below it only; rooms side by side do not know each other:

1. ``search``: the best ads of many, exactly or nearly.
2. ``training``: what a model sees, how it learns online, what it publishes; the two slots that somebody else may fill.
3. Side by side: ``towers``, ``rankers``, ``late`` (late interaction), ``distillation``, and ``serving``, a published
   retriever without the simulator's overhead.
"""
