"""What was read, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.drawing import wording

if TYPE_CHECKING:
    pass
from reports.drawing.tables import table
from reports.pages.offline.looks import Record
from reports.pages.parts import Section


def section(data: Record) -> Section:
    """What was read."""
    malformed = [
        (m["file"], m["kind"], wording.number(m["count"]), ", ".join(map(str, m["lines"]))) for m in data["malformed"]
    ]
    return Section(
        key="log",
        title="The log",
        lead=f"{wording.number(data['rows'])} rows were read; {wording.number(data['duplicates'])} equal an earlier "
        f"one and were dropped; {wording.number(data['earlier'])} lie before the period and make the history only. "
        f"{wording.number(data['users'])} users, {wording.number(data['videos'])} videos, click rate "
        f"{wording.percent(data['click_rate'], sign=False)}; {wording.number(data['test_clicks'])} clicks on the test "
        f"days. " + ("Malformed rows were left out:" if malformed else "No row was malformed."),
        tables=(table("Malformed", ("file", "what was wrong", "rows", "first lines"), malformed, shown=True),)
        if malformed
        else (),
    )
