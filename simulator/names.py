"""A name becomes one component of a path: it never leaves its directory, and distinct names stay distinct.

>>> component("dssm+cs3@dnn"), component("dssm[noise=0.1]")
('dssm+cs3@dnn', 'dssm[noise=0.1]')
>>> component("../up")
'_._up~01dc1b4f'
"""

from __future__ import annotations

import hashlib
import re

ORDINARY = re.compile(r"[a-z0-9@_][a-z0-9@_+\-=,.\[\]]*")
"""Names that are spelled in a path as they are. No capitals: some file systems take them for small letters."""
LONGEST = 100
"""Characters; file systems take 255 bytes, and what is written aside has a longer name."""
READABLE = 40
"""Characters of any other name that are left to be recognised."""


def component(name: str) -> str:
    """An ordinary name as it is; any other with what is odd replaced, a ``~`` and eight digits of its digest."""
    if ORDINARY.fullmatch(name) and len(name) <= LONGEST:
        return name
    mark = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{readable(name)[:READABLE]}~{mark}"


def readable(name: str) -> str:
    """The name with whatever is odd in a path replaced; of two names that differ it may make one.

    >>> readable("Mine/../up"), readable("")
    ('Mine_.._up', '_')
    """
    plain = re.sub(r"[^A-Za-z0-9@_+\-=,.\[\]]", "_", name)
    return re.sub(r"^(?=[^A-Za-z0-9@_]|$)[^A-Za-z0-9@_]?", "_", plain)
