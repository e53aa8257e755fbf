r"""The one door to the terminal: what a run of somebody else says is shown, and commands nothing.

>>> shown("red \x1b[31m, turned \u202e, a second line\n")
'red \\x1b[31m, turned \\u202e, a second line\n'
"""

from __future__ import annotations

import unicodedata

import click

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that move the cursor, turn the writing round or break the line, and are not seen."""


def shown(text: str) -> str:
    """The text with every such character spelled as Python does; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        repr(one)[1:-1] if unicodedata.category(one) in UNSEEN and one not in "\n\t" else one for one in text
    )


def on_one_line(text: str) -> str:
    """The text without line breaks and runs of blanks."""
    return shown(" ".join(text.split()))


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a line or several, on stderr if ``err``."""
    click.echo(shown(text), err=err)
