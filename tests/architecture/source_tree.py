"""The files of the repository and their imports. Files that .gitignore names are left out."""

import ast
import gc
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

SERVER = {"eventlog", "projections", "application", "bus", "api", "server"}
# What a layer may import besides itself.
BELOW = {
    "domain": set[str](),
    "runtime": {"domain"},
    "contracts": {"domain", "runtime"},
    "mcp_server": {"domain", "contracts", "runtime"},
    "eventlog": {"domain", "runtime"},
    "projections": {"domain", "eventlog", "runtime"},
    "application": {"domain", "contracts", "eventlog", "projections", "runtime"},
    "bus": {"domain", "contracts", "eventlog", "projections", "application", "runtime"},
    "api": {
        *("domain", "contracts", "eventlog", "projections", "application", "bus", "runtime"),
        "mcp_server",
    },
    "server": SERVER | {"domain", "contracts", "runtime"},
    "client": {"domain", "contracts", "runtime"},
    "cli": {"domain", "contracts", "client", "mcp_server", "runtime"},
    "bench": SERVER | {"domain", "contracts", "client", "cli", "mcp_server", "runtime"},
}


def _repository_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == ".git" or path.is_symlink() or _is_ignored(path):
            continue
        if path.is_dir():
            yield from _repository_files(path)
        else:
            yield path


def _is_ignored(path: Path) -> bool:
    where = f"/{path.relative_to(ROOT)}"
    return any(fnmatch(where if "/" in rule else path.name, rule) for rule in IGNORE_RULES)


def path_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found_in(paths: Iterable[Path], find: Callable[[Path], Any]) -> dict[str, Any]:
    """Return what ``find`` finds, by file; files in which it finds nothing are left out."""
    return {path_name(path): found for path in paths if (found := find(path))}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


IGNORE_RULES = [
    line
    for line in (ROOT / ".gitignore").read_text().splitlines()
    if line and not line.startswith("#")
]
FILES = list(_repository_files(ROOT))
MODULES = [path for path in FILES if path.suffix == ".py"]
LAYERED = [path for path in MODULES if layer_of(path) in BELOW]


def module_name(path: Path) -> str:
    """Return the name under which a module of a layer is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("quorate", *parts)).removesuffix(".__init__")


MODULE_NAMES = {module_name(path): path for path in LAYERED}


@cache
def parse(path: Path) -> ast.Module:
    """Parse a module, without garbage collection.

    A collection may end a greenlet of SQLAlchemy, which changes the depth of recursion. In Python
    3.11 the parser then fails with SystemError (AST constructor recursion depth mismatch).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield every imported name in full, also of imports inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import absolutely, from quorate.<folder>"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> set[str]:
    """Return the modules of all layers that a module imports, also in functions and for types."""
    found = set()
    for name in imported_names(parse(path)):
        module = name if name in MODULE_NAMES else name.rpartition(".")[0]
        if module in MODULE_NAMES and module != module_name(path):
            found.add(module)
    return found
