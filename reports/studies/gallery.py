"""Question: what do the figures look like? ``python -m reports.studies.gallery DOCS RUN...`` draws them for the docs.

Every figure of each run, by the code of ``cs3bench plot`` and ``load_run``, into ``DOCS/figures/gallery``, and
``DOCS/gallery.md`` with the command of each run. Where a run lay and how many workers it had is left out of a command.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from reports.drawing.paper import published
from reports.drawing.strokes import write_aside
from reports.runs.kinds.registry import kinds
from reports.runs.load import Run, load_run

UNTOLD = {"--out", "--jobs"}
"""Options with a value that say nothing of what is drawn."""
DPI = 110
HEAD = """# Gallery

Every figure of a run, drawn by the code of `cs3bench plot RUN --figure NAME` and of
`load_run(RUN).figures.NAME()`. One style; colours that the colour-blind can tell apart (Okabe and Ito),
arms told apart by marker and line as well; intervals are 95 %. The results are those of the runs that are
named, whether they please or not: what they mean is told in the pages `results-*.md`.

Drawn by `python -m reports.studies.gallery docs RUN...`, RUN being the directories that the commands below
leave.
"""


def gallery(docs: Path, paths: Sequence[Path]) -> Path:
    """Draw the figures of runs for the docs.

    Args:
        docs: folder of the docs.
        paths: run directories, one for each kind of run.

    Returns:
        The path of ``gallery.md``.

    Raises:
        ValueError: one line, if a run cannot be read, has no figure, or is the second of its kind.
    """
    runs = [load_run(path) for path in paths]
    kinds = [run.kind for run in runs]
    for place, run in enumerate(runs):
        if run.kind in kinds[:place] or not run.of.title:
            raise ValueError(f"{run.root}: kind == '{run.kind}', must be each kind once, of {', '.join(_titled())}")
    folder = docs / "figures" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    text = [HEAD, *(part for run in runs for part in _section(run, folder))]
    path = docs / "gallery.md"
    write_aside(path, ("\n".join(text) + "\n").encode())
    return path


def _titled() -> list[str]:
    return [name for name, kind in kinds().items() if kind.title]


def _section(run: Run, folder: Path) -> list[str]:
    text = [f"## {run.of.title}", "", "```console", told(run.command), "```", ""]
    for name in run.figures.names:
        draw = run.figures[name]
        file = folder / f"{run.kind}-{name}.png"
        write_aside(file, published(draw(), "png", dpi=DPI))
        says = " ".join(run.figures.says(name).split())
        text += [f"### {run.kind}: {name}", "", says, "", f"![{says}](figures/gallery/{file.name})", ""]
    return text


def told(command: str) -> str:
    """A command without where its run lay and how it was run; the folder of a log is DIR.

    Args:
        command: as ``manifest.json`` holds it.
    """
    words, kept = iter(shlex.split(command)), []
    for word in words:
        option, _, value = word.partition("=")
        if option in UNTOLD:
            if not value:
                next(words, None)
        elif option == "--path":
            kept += ["--path", "DIR"]
            if not value:
                next(words, None)
        elif word != "--quiet":
            kept.append(word)
    return shlex.join(kept)


if __name__ == "__main__":
    print(gallery(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]]))  # noqa: T201
