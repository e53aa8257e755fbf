"""What all pages are made of: sections, tables, cells and tiles, and the appendix that says how to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction
from reports.drawing.tables import Cell, Table, table

Record = Mapping[str, Any]

TONES = {"better": "good", "worse": "bad"}
LIGHTS = {"green": ("good", "\N{BLACK CIRCLE}"), "amber": ("warn", "\N{BLACK UP-POINTING TRIANGLE}"),
          "red": ("bad", "\N{BLACK SQUARE}")}  # fmt: skip
WORDS = {"ship": "good", "supported": "good", "do not ship": "bad", "not supported": "bad"}
ARROW = "\N{RIGHTWARDS ARROW}"


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page; `figure` names a picture of `figures.draw_all` or is empty."""

    key: str
    title: str
    lead: str = ""
    figure: str = ""
    alt: str = ""
    caption: str = ""
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One of the big numbers beside the verdict."""

    label: str
    value: str
    detail: str
    tone: str = ""


def lights(results: Record) -> list[dict[str, str]]:
    """Lights that are not green, each alone, and the green ones in one line."""
    found = results.get("lights") or ()
    told = [{key: str(light[key]) for key in ("name", "state", "text")} for light in found if light["state"] != "green"]
    green = [light["name"] for light in found if light["state"] == "green"]
    if green:
        told.append({"name": f"{len(green)} green", "state": "green", "text": ", ".join(green)})
    return [light | dict(zip(("tone", "shape"), LIGHTS[light["state"]], strict=True)) for light in told]


def effect_cell(metric: Record) -> Cell:
    """Effect and interval, coloured where the interval leaves 0."""
    spell = wording.percent if metric.get("kind", "ratio") == "ratio" else wording.signed
    value = metric.get("rel_effect") if metric.get("kind", "ratio") == "ratio" else metric.get("effect")
    if not wording.known(value):
        return Cell(text=wording.MISSING)
    return Cell(text=f"{spell(value)} {wording.span(metric.get('ci'), spell)}", tone=TONES.get(direction(metric), ""))


def speller(metric: Record) -> Any:
    """How a metric's effect is spelled: per cent for a ratio, a signed number for a difference."""
    return wording.percent if metric.get("kind") == "ratio" else wording.signed


def worlds(count: Any) -> str:
    """A count of worlds in words: 5 worlds, 1 world; n/a worlds when the run does not say."""
    return f"{wording.number(count)} world{'' if count == 1 else 's'}"


def spread(record: Record) -> list[str]:
    """The `lo` and `hi` of a record as one interval cell."""
    return [wording.span((record.get("lo"), record.get("hi")))]


def columns_of(record: Record, *keys: str) -> list[tuple[Any, ...]]:
    """Rows across parallel lists; a list that is absent reads as nulls."""
    length = max((len(record.get(key) or ()) for key in keys), default=0)
    return list(zip(*(list(record.get(key) or [None] * length) for key in keys), strict=True))


def appendix(results: Record, timing: Record, manifest: Record) -> Section:
    """Everything needed to run it again."""
    run = {
        "command": manifest.get("command"),
        "scenario": results.get("scenario"),
        "ranker": results.get("ranker"),
        "worlds": results.get("worlds"),
        "seeds": manifest.get("seeds"),
        "days": results.get("days"),
        "requests per world": results.get("requests_per_world"),
        "K": results.get("k"),
        "slots": results.get("slots"),
        "commit": manifest.get("commit"),
        "uncommitted changes": "yes" if manifest.get("dirty") else None,
        "created": manifest.get("created"),
        "wall clock": wording.seconds((timing.get("wall_seconds") or {}).get("total")),
    }
    parts = (
        ("Run", run, True),
        ("Configuration", manifest.get("config"), False),
        ("Versions", manifest.get("versions"), False),
        ("Machine", timing.get("machine"), False),
    )
    tables = [
        table(title, ("Setting", "Value"), flat(found), shown=shown, prose=True)
        for title, found, shown in parts
        if flat(found)
    ]
    return Section(key="appendix", title="Appendix: how to run it again", tables=tuple(tables))


def flat(record: Any, prefix: str = "") -> list[tuple[str, str]]:
    """A nested dict as `("a.b", "value")` rows; nulls and empty values are left out."""
    rows: list[tuple[str, str]] = []
    for key, value in (record or {}).items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(flat(value, f"{name}."))
        elif isinstance(value, (list, tuple)):
            rows.extend([(name, wording.numbers(value))] if value else [])
        elif value not in (None, "", wording.MISSING):
            rows.append((name, str(value)))
    return rows
