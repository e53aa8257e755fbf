"""The tables of an arm in their stores, and the step from one ranker's stores to the next one's.

A new ranker gets stores of its own. They are filled whole by the publication that follows, and only then the stores are
told which ranker is served: until that one step, whoever asks finds the former ranker's vectors, whole.
"""

from __future__ import annotations

from cs3.cms import CascadeVectors
from cs3.cts import CrossVectors
from cs3.store import TwoTables
from cs3.stores import Stores, VectorStore

SIDES = ("users", "items")


class PublishedTables:
    """Opens the stores of the tables that there are, and keeps them at the ranker of the cascade vectors."""

    def __init__(self, stores: Stores, cross: CrossVectors | None, cascade: CascadeVectors | None) -> None:
        """Serves what the stores hold.

        Raises:
            ValueError: when a store is of another version or width.
        """
        self._stores, self._cascade = stores, cascade
        if cross is not None:
            for side in SIDES:
                table = getattr(cross, side)
                table.serve_from(stores.open(f"cross-{side}", rows=table.rows, width=table.read_width))
        if cascade is not None:
            self._served = self._next = stores.ranker()
            self._serve(cascade)

    def adopt(self) -> None:
        """After the cascade vectors adopted a ranker: their next publication goes to its stores."""
        if self._cascade is None:
            return
        tag = _tag(self._cascade.ranker)
        if tag != self._next:
            for side in SIDES:
                getattr(self._cascade, side).move_to(self._opened(self._cascade, side, tag))
            self._next = tag

    def switch(self) -> None:
        """After a publication: names the ranker that is served from now on."""
        if self._cascade is not None and self._next != self._served:
            self._stores.switch(self._next)
            self._served = self._next

    def serve(self, ranker: object) -> None:
        """Serves a ranker's stores at once, before a snapshot of that ranker's vectors is put there."""
        if self._cascade is None:
            return
        self._next = _tag(ranker)
        self._serve(self._cascade)
        self.switch()

    def _serve(self, cascade: TwoTables) -> None:
        for side in SIDES:
            getattr(cascade, side).serve_from(self._opened(cascade, side, self._next))

    def _opened(self, cascade: TwoTables, side: str, tag: str) -> VectorStore:
        table = getattr(cascade, side)
        return self._stores.open(f"cascade-{side}", rows=table.rows, width=table.read_width, ranker=tag)


def _tag(ranker: object) -> str:
    return "" if ranker is None else str(ranker)
