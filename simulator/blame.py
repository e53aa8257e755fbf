"""Whatever a stranger's code raises becomes one line: where, what, and the plug-in's own line of code.

>>> with blamed("arm 'mine', retriever at time 900: sync"):
...     int("seven")
Traceback (most recent call last):
...
simulator.blame.ContractError: arm 'mine', retriever at time 900: sync raised ValueError: invalid literal ...
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HOME = Path(__file__).parents[1]
OURS = tuple(f"{HOME / name}/" for name in ("simulator", "baselines", "cs3", "reports"))
MACHINERY = (
    f"{HOME / 'reports'}/",
    f"{HOME / 'simulator' / 'testing'}/",
    f"{HOME / 'simulator' / 'guard.py'}",
    __file__,
)
"""Files that call plug-ins; a line in them is nobody's fault."""
INSTALLED = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "purelib", "platlib"))


class ContractError(ValueError):
    """A plug-in broke the contract; one line that names it, the simulated time and what was wrong."""


@contextmanager
def blamed(where: str) -> Iterator[None]:
    """Turn whatever a stranger's code raises in this block into one line.

    Raises:
        ContractError: ``where``, the exception's type and first line, and the plug-in's own line of code.
    """
    try:
        yield
    except ContractError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"{where} raised {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """Type and first line of an exception, and the line of the plug-in's own file that led to it."""
    said = (str(error).splitlines() or [""])[0]
    frame = _own_frame(traceback.extract_tb(error.__traceback__))
    where = f" ({Path(frame.filename).name}:{frame.lineno})" if frame else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"


def _own_frame(frames: Sequence[traceback.FrameSummary]) -> traceback.FrameSummary | None:
    """The innermost line of a stranger's file; else of the file that was called first and only calls plug-ins."""
    called = [frame for frame in frames if not frame.filename.startswith(MACHINERY)]
    strangers = [frame for frame in called if not frame.filename.startswith((*OURS, *INSTALLED, "<"))]
    first = (strangers or called)[:1]
    own = [frame for frame in called if first and frame.filename == first[0].filename]
    return own[-1] if own else None
