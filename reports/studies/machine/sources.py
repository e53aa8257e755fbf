"""What decides a run's numbers besides its configuration: our code, the code of plug-ins, the files of a log.

Every file has a digest of its own, so that a change can be told by its name. Of Python it is that of the syntax tree
without docstrings: a comment changes nothing. Pages, figures and the command line decide no number and are left out.
"""

from __future__ import annotations

import ast
import hashlib
import json
import site
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

HOME = Path(__file__).parents[3]
OURS = ("simulator", "baselines", "cs3", "reports")
PACKAGES = ("simulator", "baselines", "cs3", "reports/numbers", "reports/studies")
"""Folders whose code decides numbers, but for these. The other rooms of ``reports`` draw, list, print and time."""
UNDECIDING = (
    "simulator/testing/*", "reports/numbers/published.py", "reports/studies/gallery.py", "reports/studies/planned.py",
    "reports/studies/machine/git.py", "reports/studies/serving/latency.py", "reports/studies/serving/load.py",
)  # fmt: skip
"""Pictures, clocks and published figures. What is not named here counts."""
LONGEST = 200
"""Characters of a file's path that a plug-in names; a longer text is prose."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)

known: dict[str, str] = {}
"""Digest of a file's bytes -> of its syntax tree, of the files that this process has parsed or was told of."""
_imports: dict[str, tuple[ModuleSpec, str]] = {}
"""Module -> how it was imported, and the digest of its file's bytes when that was first seen."""


def code() -> dict[str, str]:
    """Digest of each file of ours that decides numbers, by its path in the project."""
    return {name: digest(path) for name, path in _deciding().items()}


@cache
def _deciding() -> dict[str, Path]:
    found = [path for folder in PACKAGES for path in sorted((HOME / folder).rglob("*.py"))]
    found += sorted((HOME / "reports" / "studies" / "tuned").glob("*.toml"))
    named = {path.relative_to(HOME).as_posix(): path for path in found}
    return {name: path for name, path in named.items() if not any(fnmatch(name, one) for one in UNDECIDING)}


def plugins(modules: Iterable[str]) -> dict[str, str]:
    """Digest of each file of these modules and of what they import that is neither installed, nor Python's, nor ours.

    So of each file that such a module names: a text in it that is the path of a file, counted from the module's folder.

    Args:
        modules: dotted names; those of ours are passed over, for :func:`code` has them.
    """
    files = {name: path for module in modules for name, path in _beside(module).items()}
    return {name: digest(files[name]) for name in sorted(files)}


def digest(path: Path) -> str:
    """16 hex digits for what a file says: a syntax tree, a table, else its bytes."""
    if path.suffix not in (".py", ".toml"):
        return of_bytes(path)
    content = path.read_bytes()
    raw = _hex(content)
    if raw not in known:
        known[raw] = _tree(content) if path.suffix == ".py" else _table(content)
    return known[raw]


def of_bytes(path: Path) -> str:
    """16 hex digits for a file of any size, read in pieces: 1 GB takes about 0.8 s."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _hex(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _tree(content: bytes) -> str:
    """Of the syntax without docstrings; of the bytes where they are not Python."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return _hex(content)
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return _hex(ast.dump(tree).encode())


def _table(content: bytes) -> str:
    try:
        return _hex(json.dumps(tomllib.loads(content.decode()), sort_keys=True, default=str).encode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return _hex(content)


# --- what a plug-in is made of ---


def _beside(module: str) -> dict[str, Path]:
    """File of a module and of all that it imports, by their names; a submodule's packages are run too."""
    found: dict[str, Path] = {}
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in OURS or top in sys.stdlib_module_names:
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        spec = _spec(name)
        path = _file(spec) if spec is not None else None
        if spec is None or path is None or (_installed(path) and top != module.partition(".")[0]):
            continue
        is_package = spec.submodule_search_locations is not None
        _refuse_edited(name, spec, path)
        folders = name.split(".") if is_package else name.split(".")[:-1]
        found[path.name if path.suffix == ".zip" else "/".join([*folders, path.name])] = path
        tree = _syntax(path)
        found |= {"/".join([*folders, one]): path.parent / one for one in _files_named(tree, path.parent)}
        waiting += _imported(tree, name if is_package else name.rpartition(".")[0])
    return found


def _refuse_edited(name: str, spec: ModuleSpec, path: Path) -> None:
    """Refuse a module whose file was edited after this process imported it: what runs is the old one.

    Raises:
        ValueError: one line naming the file.
    """
    if getattr(sys.modules.get(name), "__spec__", None) is not spec:
        return
    raw = _hex(path.read_bytes())
    imported, first = _imports.get(name, (spec, raw))
    if imported is spec and first != raw:
        raise ValueError(f"{path.name}: changed since this process imported it, start a new one")
    _imports[name] = (spec, raw)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, without running it; as it was loaded, if it was."""
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded  # type: ignore[no-any-return]
    parent, _, tail = name.rpartition(".")
    above = _spec(parent) if parent else None
    if parent and (above is None or above.submodule_search_locations is None):
        return None
    places = None if above is None else list(above.submodule_search_locations or ())
    for finder in sys.meta_path:
        # A stranger's finder may raise anything.
        with suppress(Exception):
            found = finder.find_spec(name, places)
            if found is not None:
                return found
    # A folder without a file of its own below a package that is not loaded: Python would ask the loaded package.
    folders = [str(Path(place) / tail) for place in places or () if (Path(place) / tail).is_dir()]
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = folders
    return namespace if folders else None


def _file(spec: ModuleSpec) -> Path | None:
    """Its file, the archive for a module in one; None for a namespace, or what is built in."""
    place = getattr(spec.loader, "archive", spec.origin)
    return Path(place) if place and Path(place).is_file() else None


@cache
def _folders() -> tuple[Path, ...]:
    """Where distributions are installed."""
    named = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return tuple(Path(folder).resolve() for folder in (*named, site.getusersitepackages()))


def _installed(path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in _folders())


def _syntax(path: Path) -> ast.AST:
    """Of a source file; empty where it is none."""
    try:
        return ast.parse(path.read_bytes() if path.suffix == ".py" else b"")
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _files_named(tree: ast.AST, folder: Path) -> list[str]:
    """Texts of a source file that are each the path of a file in its folder or below, e.g. ``weights.json``."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    inside = [text for text in texts if text.isprintable() and not {"", "..", "/"} & {text, *Path(text).parts}]
    return [Path(text).as_posix() for text in sorted(inside) if len(text) < LONGEST and (folder / text).is_file()]


def _imported(tree: ast.AST, package: str) -> list[str]:
    """Names that a source file may import, those in functions included; ``package`` is what its dots count from."""
    return [name for node in ast.walk(tree) for name in _names(node, package) if name]


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        yield base
        yield from (f"{base}.{one.name}" for one in node.names)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            yield node.args[0].value
