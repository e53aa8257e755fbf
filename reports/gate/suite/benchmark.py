"""What a benchmark is: a name, how to set it up, what is timed, and what its result must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A benchmark that is set up.

    Attributes:
        run: what is timed; given what ``fresh`` made, or None.
        check: raises AssertionError unless the result of the last run is right.
        fresh: makes, untimed, what one run uses up; None where runs do not wear anything out.
    """

    run: Callable[[Any], Any]
    check: Callable[[Any], None]
    fresh: Callable[[], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark: a hot kernel or an end-to-end path.

    Attributes:
        name: ``group/what``.
        setup: makes the case. It does its own imports of what it benchmarks, so that a revision without them lacks
            this benchmark and no other; seeds are fixed, so that two processes do the same work.
        sizes: of the work, for the table of ``tests/bench``.
        work: what a run handles and how many of them, e.g. ``("requests", 1000)``; None for no rate.
        threads: that a run may use.
        pure: numpy and the interpreter only, so that its instructions can be counted.
        disabled: why it does not run; empty if it does.
    """

    name: str
    setup: Callable[[], Case]
    sizes: Mapping[str, int] = field(default_factory=dict)
    work: tuple[str, int] | None = None
    threads: int = 1
    pure: bool = False
    disabled: str = ""

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def extra_info(self) -> dict[str, int]:
        """Sizes and threads."""
        return {**self.sizes, "threads": self.threads}
