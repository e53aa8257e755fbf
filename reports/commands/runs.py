"""``cs3bench runs``, ``plot`` and ``compare``: what to do with runs that are finished."""

from __future__ import annotations

from pathlib import Path

import click

from reports.drawing.terminal import echo


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--figure", help="Its name.")
@click.option("--format", "form", type=click.Choice(["png", "svg", "pdf"]), help="[default: that of --out, else svg]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File.  [default: RUN-FIGURE.FORMAT]")
@click.option("--list", "listed", is_flag=True, help="Names of the run's figures, and no more.")
def plot(run: Path, figure: str | None, form: str | None, out: Path | None, listed: bool) -> None:
    """One figure of a finished run, for a paper or a slide: vector fonts, 300 dots an inch, on white."""
    from reports.runs.load import load_run

    figures = load_run(run).figures
    if listed:
        for name in figures.names:
            echo(name)
        if not figures.names:
            echo(f"{run}: no figures", err=True)
        return
    if figure is None:
        raise ValueError(f"--figure is missing, {run} has: {', '.join(figures.names) or 'none'}")
    named = out.suffix.removeprefix(".") if out else ""
    if form and named and form != named:
        raise ValueError(f"--format {form}: must agree with --out {out}")
    path = out if out and named else Path(f"{out or f'{run.resolve().name}-{figure}'}.{form or 'svg'}")
    from reports.drawing.paper import FORMATS, write_figure

    if path.suffix.removeprefix(".") not in FORMATS:
        raise ValueError(f"--out {path}: must end in one of .{', .'.join(FORMATS)}")
    echo(f"figure: {write_figure(figures[figure](), path)}")


@click.command()
@click.argument("folder", default="runs", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def runs(folder: Path, as_json: bool) -> None:
    """The runs of a folder: kind, scenario, when, size on disk, how many cells of how many, what each found."""
    from reports.runs.inventory import inventory, lines

    found = inventory(folder)
    if as_json:
        import json

        echo(json.dumps([one._asdict() for one in found], indent=1))
    elif found:
        echo("\n".join(lines(found)))
    else:
        echo(f"{folder}: no runs")


@click.command()
@click.argument("paths", metavar="RUN...", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option("--metric", help="That the figure shows.  [default: revenue, or the first that all runs have]")
@click.option("--arm", "arms", multiple=True, help="Arm to keep, again for more.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also write a page and its figure there.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def compare(
    paths: tuple[Path, ...], metric: str | None, arms: tuple[str, ...], out: Path | None, as_json: bool
) -> None:
    """Arms of several runs beside each other, with what differs between the runs: worlds, scenario, days, tuning."""
    from reports.pages.comparison.page import lines
    from reports.runs.comparison import compare as compared
    from reports.runs.comparison import write

    found = compared(paths, metric, arms).record()
    if as_json:
        import json

        echo(json.dumps(found, indent=1))
    else:
        echo("\n".join(lines(found)))
    if out is not None:
        echo(f"\npage: {write(found, out)}", err=as_json)
