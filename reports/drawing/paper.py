"""One figure of a run for a paper or a slide: PNG at 300 dots an inch, SVG and PDF as curves, cut to what is drawn.

The style is that of ``strokes.style``; only the fonts differ. An SVG holds its letters as curves, a PDF embeds them as
TrueType, so that a figure looks the same on every machine. Nothing in a file depends on when it was made.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing.lettering import lettered
from reports.drawing.strokes import PAPER, style, write_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
DPI = 300
UNDATED: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FONTS: dict[Any, Any] = {"svg.fonttype": "path", "pdf.fonttype": 42}


def published(figure: Figure, form: str, dpi: int = DPI) -> bytes:
    """The figure on white as the bytes of a file.

    Args:
        figure: as `load_run(path).figures.NAME()` returns it.
        form: "png", "svg" or "pdf".
        dpi: dots an inch of a "png".

    Raises:
        ValueError: for another format.
    """
    if form not in FORMATS:
        raise ValueError(f"format == '{form}', must be one of {', '.join(FORMATS)}")
    import matplotlib as mpl

    held = io.BytesIO()
    with mpl.rc_context(style() | FONTS), lettered(figure):
        figure.savefig(
            held,
            format=form,
            dpi=dpi,
            facecolor=PAPER,
            metadata=UNDATED[form],
            bbox_inches="tight",
            pad_inches=0.04,
        )
    return held.getvalue()


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format that the suffix of ``path`` names, aside and then renamed; returns ``path``.

    Raises:
        ValueError: for another suffix, or a folder that cannot be written.
    """
    content = published(figure, path.suffix.removeprefix("."))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, content)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}, choose another --out") from error
    return path
