"""The reference pages of docs, made from the code: ``python -m reports.commands.reference [DIR]``.

A test makes them again and compares, so a page cannot fall behind the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing.tables import table

if TYPE_CHECKING:
    import click
    import griffe

FOLDER = Path("docs") / "reference"
WIDTH = 100
API: Mapping[str, tuple[str, ...]] = {
    "cs3": (),
    "simulator.plugins": ("Retriever", "Ranker", "make", "registered"),
    "simulator.records": (
        "Catalog", "Requests", "Offers", "Candidates", "Ranked", "Slates", "Outcomes", "Impressions", "Ledger",
    ),
    "simulator.testing": ("check_retriever", "check_ranker", "tiny_world", "Check"),
    "simulator.scenario": ("load", "names"),
    "simulator.world": ("build",),
    "baselines.serving": ("freeze",),
    "reports": ("load_run", "Run"),
    "reports.numbers.paired": ("paired_lift", "paired_difference", "lift_by_period"),
    "reports.numbers.corrections": ("holm", "benjamini_hochberg"),
    "reports.numbers.plateau": ("plateau",),
}  # fmt: skip
"""Public names by module; none listed: its ``__all__``."""


def pages() -> dict[str, str]:
    """Every page's text by its file name."""
    made: dict[str, Callable[[], Iterator[str]]] = {"commands": _commands, "scenarios": _scenarios, "api": _api}
    return {f"{name}.md": "\n".join(page()).rstrip() + "\n" for name, page in made.items()}


# --- commands ------------------------------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    import click

    from reports.commands.main import cs3bench

    yield "# Commands\n"
    yield "Made from the command line's own help by `python -m reports.commands.reference`; change it there.\n"
    top = click.Context(cs3bench, info_name="cs3bench", max_content_width=WIDTH, terminal_width=WIDTH)
    names = cs3bench.list_commands(top)
    yield ", ".join(f"[`{name}`](#{name})" for name in names) + "\n"
    for name in names:
        command = cs3bench.get_command(top, name)
        if command is not None and not command.hidden:
            yield f"## {name}\n"
            yield f"```text\n{_help(command, top)}\n```\n"


def _help(command: click.Command, top: click.Context) -> str:
    import click

    inside = click.Context(
        command, info_name=command.name, parent=top, max_content_width=WIDTH, terminal_width=WIDTH
    )  # fmt: skip
    lines = command.get_help(inside).splitlines()
    return "\n".join(line.rstrip() for line in lines)


# --- configs -------------------------------------------------------------------------------------------------------


def _scenarios() -> Iterator[str]:
    from pydantic import BaseModel

    from simulator.scenario import Scenario, load, names

    yield "# Scenarios and their dials\n"
    yield "Made from the configs by `python -m reports.commands.reference`. A field is set with"
    yield "`--set section.field=value`, or in a TOML file of your own ([how](../your-scenario.md)). Defaults are those"
    yield "of a scenario that says nothing.\n"
    for name, field in Scenario.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"## `[{name}]`\n"
            yield f"{' '.join((kind.__doc__ or '').split())}\n"
            yield from table("", ("field", "default", "allowed", "what it is"), _fields(kind)).markdown()
            yield ""
    yield "## Shipped\n"
    for name in names():
        yield f"### `{name}`\n"
        yield f"{load(name).about.strip()}\n"


def _fields(kind: Any) -> Iterator[list[str]]:
    for name, field in kind.model_fields.items():
        default = f"`{field.default!r}`".replace("'", "")
        allowed = ", ".join(_limit(one) for one in field.metadata) or _choices(field.annotation)
        yield [f"`{name}`", default, allowed, field.description or ""]


def _limit(one: Any) -> str:
    signs = {
        "ge": "at least",
        "gt": "above",
        "le": "at most",
        "lt": "below",
        "min_length": "at least",
        "multiple_of": "times",
    }
    found = [f"{words} {getattr(one, key):g}" for key, words in signs.items() if getattr(one, key, None) is not None]
    return " and ".join(found) or str(one)


def _choices(annotation: Any) -> str:
    from typing import Literal, get_args, get_origin

    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    return "" if annotation is float else f"{getattr(annotation, '__name__', annotation)}"


# --- docstrings ----------------------------------------------------------------------------------------------------


def _api() -> Iterator[str]:
    import griffe

    yield "# Python\n"
    yield "Made from the docstrings by `python -m reports.commands.reference`. What is listed here is public: it"
    yield "changes with a line in the changelog. All else may change without one.\n"
    for module, names in API.items():
        package = griffe.load(module, docstring_parser="google", resolve_aliases=True, resolve_external=False)
        assert not isinstance(package, griffe.Alias)
        yield f"## `{module}`\n"
        for name in names or sorted(str(one) for one in package.exports or ()):
            yield from _object(package[name])


def _object(found: griffe.Object | griffe.Alias) -> Iterator[str]:
    import griffe

    target = found.final_target if isinstance(found, griffe.Alias) else found
    signature = f"`{target.name}{_signature(target)}`"
    yield f"### {signature}\n"
    yield from _docstring(target)
    if isinstance(target, griffe.Class):
        for name, member in target.members.items():
            inner = member.final_target if isinstance(member, griffe.Alias) else member
            if isinstance(inner, griffe.Function) and not name.startswith("_") and inner.docstring:
                yield f"#### `{target.name}.{name}{_signature(inner)}`\n"
                yield from _docstring(inner)


def _signature(target: griffe.Object) -> str:
    import griffe

    function: Any = target
    if isinstance(target, griffe.Class):
        function = target.members.get("__init__")
    if not isinstance(function, griffe.Function):
        return ""
    given, starred = [], False
    for one in function.parameters:
        if one.name in ("self", "cls"):
            continue
        kind = str(one.kind.value) if one.kind else ""
        mark = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        if kind == "keyword-only" and not starred:
            given.append("*")
        starred = starred or kind in ("keyword-only", "variadic positional")
        given.append(f"{mark}{one.name}" + (f"={one.default}" if one.default is not None and not mark else ""))
    return f"({', '.join(given)})"


def _docstring(target: griffe.Object) -> Iterator[str]:
    if target.docstring is None:
        return
    for section in target.docstring.parsed:
        kind, value = section.kind.value, section.value
        if kind == "text":
            yield f"{value.strip()}\n"
        elif kind in ("parameters", "attributes"):
            yield from (_bullet(_name(one), one.description) for one in value)
            yield ""
        elif kind in ("returns", "yields"):
            said = " ".join(" ".join(f"{one.name or ''} {one.description}".split()) for one in value)
            yield f"{kind.capitalize()}: {said}\n"
        elif kind == "raises":
            told = "; ".join(f"`{one.annotation}` {' '.join(one.description.split())}" for one in value)
            yield f"Raises: {told}\n"
        elif kind == "admonition":
            yield f"{' '.join(value.contents.split())}\n"


def _name(one: Any) -> str:
    """``users, items: ...`` is one line about two names; the parser takes the second for a type."""
    return f"`{one.name}` `{one.annotation}`" if one.name.endswith(",") else f"`{one.name}`"


def _bullet(name: str, text: str) -> str:
    return f"- {name}: {' '.join(text.split())}"


def main() -> None:
    """Write the pages into a folder, ``docs/reference`` if none is given."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
