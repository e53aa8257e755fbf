"""CS3 (arXiv 2604.19269) for anyone's two-tower model; needs torch and nothing else.

In reading order:

- ``cas``: a linear layer that re-weighs its own input and runs again.
- ``store``: moving averages by key, the only place where the memory is written; ``versions``: what was published when.
- ``cts``: averages of the other tower's outputs on positives. ``cms``: averages of the ranker's hidden vectors.
- ``stores``: where published vectors live that serving reads: ``embedded`` arrays, a ``mapped`` file (``files``),
  a ``server`` (by a ``link``, ``packed``); ``published``: an arm's tables in them.
- ``extras``: which mechanisms are on, and their state as a tower trainer takes it.
- ``widened``: a stranger's input layer that also reads the averages; ``adapter``: the ways into a tower.
- ``attach``: the plug-in door, for towers that know nothing of this; ``dry_run`` finds their layers.
- ``pair``: what comes out: it learns, publishes, serves. ``towers``: its training forward, as one module; ``loss``.
- ``distributed``: rows of all ranks in one order.
"""

from cs3.adapter import OutputAdapter
from cs3.attach import attach
from cs3.cas import CASLinear, wrap_linears
from cs3.cms import CascadeVectors
from cs3.cts import CrossVectors
from cs3.distributed import gather_rows
from cs3.embedded import EmbeddedStore, EmbeddedStores
from cs3.extras import CS3Config, CS3Extras, merge
from cs3.loss import CosineLoss
from cs3.mapped import MappedStore, MappedStores
from cs3.pair import Batch, CS3Pair, Step
from cs3.server import ServerStore, ServerStores
from cs3.store import VectorTable, ema_
from cs3.stores import (
    AnotherWriterError,
    StoreAwayError,
    StoreError,
    StoreMismatchError,
    Stores,
    VectorStore,
)
from cs3.widened import WidenedLinear

__all__ = [
    "AnotherWriterError",
    "Batch",
    "CASLinear",
    "CS3Config",
    "CS3Extras",
    "CS3Pair",
    "CascadeVectors",
    "CosineLoss",
    "CrossVectors",
    "EmbeddedStore",
    "EmbeddedStores",
    "MappedStore",
    "MappedStores",
    "OutputAdapter",
    "ServerStore",
    "ServerStores",
    "Step",
    "StoreAwayError",
    "StoreError",
    "StoreMismatchError",
    "Stores",
    "VectorStore",
    "VectorTable",
    "WidenedLinear",
    "attach",
    "ema_",
    "gather_rows",
    "merge",
    "wrap_linears",
]
