"""An arm's spelling as a noun: ``backbone+modifier+...@ranker``, each part with settings in brackets.

``+``, ``@`` and the comma between two settings divide outside of brackets only: ``dssm[lr=1e+5,layers=[64,32]]`` is one
part with two settings. What the parts are, and whether they can be made, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

DEFAULT_RANKER = "dnn"
MECHANISMS = ("cas", "cts", "cms")
"""The parts of ``CS3``, in its order."""
CS3 = "cs3"
"""The modifier that stands for all of them."""


@dataclass(frozen=True)
class Part:
    """One part of a spelling, e.g. ``cts[alpha=0.5]``.

    Attributes:
        text: as it is written.
    """

    text: str

    @property
    def name(self) -> str:
        """Without its brackets."""
        return self.text.partition("[")[0]

    def settings(self, what: str) -> list[str]:
        """What stands in its brackets, ``["key=value", ...]``; empty without brackets.

        Args:
            what: the part's role, for the error.

        Raises:
            ValueError: one line, for brackets of another form or a setting that is given twice.
        """
        _, bracket, inside = self.text.partition("[")
        if not bracket:
            return []
        if not inside.endswith("]") or "=" not in inside:
            raise ValueError(f"{what} == '{self.text}', must be spelled name[key=value,...]")
        items = _divided(inside[:-1], ",")
        if len({item.partition("=")[0].strip() for item in items}) < len(items):
            raise ValueError(f"{what} == '{self.text}', must give each setting once")
        return items


@dataclass(frozen=True)
class Spelling:
    """The parts of an arm's name.

    Attributes:
        base: the backbone.
        extras: the modifiers.
        head: the ranker; None where the spelling leaves it to the default.
    """

    base: Part
    extras: tuple[Part, ...] = ()
    head: Part | None = None

    @classmethod
    def of(cls, text: str) -> Spelling:
        """The parts of any text; nothing is refused here."""
        towers, *others = _divided(text, "@")
        first, *parts = _divided(towers, "+")
        return cls(Part(first), tuple(map(Part, parts)), Part("@".join(others)) if others else None)

    @property
    def name(self) -> str:
        """The whole, letter for letter."""
        towers = "+".join(part.text for part in (self.base, *self.extras))
        return towers if self.head is None else f"{towers}@{self.head.text}"

    @property
    def plain(self) -> str:
        """The whole without ``@dnn``: two spellings of one arm have the same."""
        return Spelling(self.base, self.extras, None if self.ranker == DEFAULT_RANKER else self.head).name

    @property
    def towers(self) -> str:
        """Backbone and modifiers, all without brackets: ``dssm+cas``."""
        return "+".join([self.backbone, *self.modifiers])

    @property
    def backbone(self) -> str:
        """Without its brackets."""
        return self.base.name

    @property
    def modifiers(self) -> tuple[str, ...]:
        """Without their brackets."""
        return tuple(part.name for part in self.extras)

    @property
    def ranker(self) -> str:
        """With its brackets; the default where none is written."""
        return self.learned.text

    @property
    def learned(self) -> Part:
        """The ranker, as :attr:`ranker`."""
        return self.head if self.head is not None and self.head.text else Part(DEFAULT_RANKER)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Those of ``MECHANISMS`` that it has, by itself or in ``cs3``."""
        return MECHANISMS if CS3 in self.modifiers else tuple(n for n in MECHANISMS if n in self.modifiers)

    def without(self, *names: str) -> Spelling:
        """The same arm without these modifiers, whatever their settings."""
        return Spelling(self.base, tuple(part for part in self.extras if part.name not in names), self.head)

    def only(self, *names: str) -> tuple[Part, ...]:
        """Its modifiers of these names, with their settings."""
        return tuple(part for part in self.extras if part.name in names)


def added(control: str, treatment: str) -> tuple[str, ...]:
    """The mechanisms that arm 1 has and arm 0 has not, in the order of ``MECHANISMS``."""
    there = Spelling.of(control).mechanisms
    return tuple(name for name in Spelling.of(treatment).mechanisms if name not in there)


def capitals(modifiers: str) -> str:
    """Names of modifiers as a page writes them: ``cas+cms[beta=0.5]`` is ``CAS+CMS[beta=0.5]``."""
    parts = map(Part, _divided(modifiers, "+"))
    return "+".join(part.name.upper() + part.text.removeprefix(part.name) for part in parts)


def _divided(text: str, sign: str) -> list[str]:
    """A text cut at every ``sign`` that stands outside of brackets."""
    cuts = [-1, *_outside(text, sign), len(text)]
    return [text[begin + 1 : end] for begin, end in pairwise(cuts)]


def _outside(text: str, sign: str) -> Iterable[int]:
    depth = 0
    for i, letter in enumerate(text):
        depth = max(0, depth + (letter == "[") - (letter == "]"))
        if letter == sign and depth == 0:
            yield i
