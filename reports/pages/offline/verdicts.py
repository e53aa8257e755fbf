"""What the study says of each mechanism, as lights, and the rule."""

from __future__ import annotations

from reports.drawing import wording
from reports.numbers import mechanisms
from reports.pages.offline.looks import MINUS, Record
from reports.pages.parts import LIGHTS

TONES = {"supported": "green", "not supported": "red"}


def lights(results: Record) -> list[dict[str, str]]:
    """Name, word, tone, shape and reason of each mechanism's verdict; n/a where its arms were not run."""
    known = {found["mechanism"]: found for found in results["verdicts"]}
    calls = []
    for mechanism in mechanisms.CONTROLS:
        found = known.get(mechanism)
        tone, shape = LIGHTS[TONES.get(found["word"], "amber")] if found else ("", "\N{WHITE CIRCLE}")
        calls.append(
            {
                "name": "CS3 as a whole" if mechanism == "cs3" else mechanism.upper(),
                "state": found["word"] if found else wording.MISSING,
                "text": typeset(found["reason"]) if found else f"dssm and dssm+{mechanism} were not both run.",
                "tone": tone,
                "shape": shape,
            }
        )
    return calls


def typeset(text: str) -> str:
    """Minus signs before digits, as in the tables."""
    return text.replace("-0.", f"{MINUS}0.")


def rule() -> str:
    """The rule of the verdicts, in the words of the module that applies it."""
    text = " ".join((mechanisms.__doc__ or "").partition("\n\n")[2].split())
    return text.replace("``WORTH``", f"{mechanisms.WORTH}").replace("``", "").replace("*", "")
