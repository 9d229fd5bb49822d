"""House rules that are cheaper to check than to remember.

The folders of the repository are layers, and imports only point down. What .gitignore names is
not ours and is not looked at.
"""

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LINES_PER_FUNCTION_MAX = 70
LINES_PER_FILE_MAX = 400

SERVER = {"contracts", "eventlog", "projections", "application", "bus", "api", "server"}
# What a layer may import besides itself.
BELOW = {
    "domain": set[str](),
    "runtime": {"domain"},
    "contracts": {"domain"},
    "eventlog": {"domain", "runtime"},
    "projections": {"domain", "eventlog", "runtime"},
    "application": {"domain", "contracts", "eventlog", "projections", "runtime"},
    "bus": {"domain", "eventlog", "projections", "runtime"},
    "api": {"domain", "contracts", "eventlog", "projections", "application", "bus", "runtime"},
    "server": SERVER | {"domain", "runtime"},
    "client": {"domain"},
    "cli": {"domain", "client", "runtime"},
    "bench": SERVER | {"domain", "client", "cli", "runtime"},
}
# What it may import inside a function, so that only the verb that needs it pays for it.
LAZILY = {"cli": SERVER}

# The domain takes time, identity and chance as arguments. These would let them in unseen.
IMPURE_MODULES = {
    *("asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *("shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time"),
}
IMPURE_CALLS = {"input", "now", "open", "print", "today", "utcnow", "uuid1", "uuid4", "uuid7"}

# Written in halves, or this file would break its own rules.
BANNED_WORDS = re.compile(r"\b(?:" + "|".join(("FIX" + "ME", "TO" + "DO", "XX" + "X")) + r")\b")
BANNED_NAMES = {"base", "common", "helper", "helpers", "manager", "managers", "util", "utils"}
REGISTRY_HOSTS = re.compile(
    r"pypi\.(?:org|io)|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|proxy\.golang\.org"
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:tmp|work|root|home|farm)/[\w.-]")
# A version that goes on with its hashes, or one of those.
PINNED = re.compile(r"[\w.-]+==\S+(?: ; .+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?")
PROSE = {".cfg", ".md", ".py", ".sh", ".sql", ".toml", ".txt", ".yaml", ".yml", ""}


def ours(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name == ".git" or path.is_symlink() or ignored(path):
            continue
        if path.is_dir():
            yield from ours(path)
        else:
            yield path


def ignored(path: Path) -> bool:
    where = f"/{path.relative_to(ROOT)}"
    return any(fnmatch(where if "/" in rule else path.name, rule) for rule in IGNORE_RULES)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


IGNORE_RULES = [
    line
    for line in (ROOT / ".gitignore").read_text().splitlines()
    if line and not line.startswith("#")
]
FILES = list(ours(ROOT))
MODULES = [path for path in FILES if path.suffix == ".py"]
LAYERED = [path for path in MODULES if path.relative_to(ROOT).parts[0] in BELOW]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported name, dotted in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import absolutely, from quorate.<folder>"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_when_loaded(tree: ast.AST) -> Iterator[str]:
    """The same without what waits inside functions, or is there for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        else:
            yield from imports_when_loaded(node)


def layers(names: Iterator[str]) -> set[str]:
    parts = [name.split(".") for name in names]
    return {rest[0] for top, *rest in parts if top == "quorate" and rest and rest[0] in BELOW}


@pytest.mark.parametrize("path", LAYERED, ids=named)
def test_layers_only_look_down(path: Path) -> None:
    tree = parsed(path)
    layer = path.relative_to(ROOT).parts[0]
    allowed = BELOW[layer] | {layer}

    assert layers(imports_when_loaded(tree)) <= allowed
    assert layers(imports(tree)) <= allowed | LAZILY.get(layer, set())


@pytest.mark.parametrize(
    "path", [p for p in LAYERED if p.relative_to(ROOT).parts[0] == "domain"], ids=named
)
def test_the_domain_is_pure(path: Path) -> None:
    tree = parsed(path)
    tops = {name.split(".")[0] for name in imports(tree)} - {"quorate"}
    calls = {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}

    assert tops <= sys.stdlib_module_names, "the domain needs the standard library only"
    assert not tops & IMPURE_MODULES
    assert not calls & IMPURE_CALLS, "time, identity and chance arrive as arguments"


def called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_go_through_quorate(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(parsed(path))}

    assert not tops & set(BELOW), "quorate.domain and domain would be two different modules"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_functions_and_files_fit_in_a_reader(path: Path) -> None:
    text = path.read_text()
    lines_in_file = len(text.splitlines())
    long = [
        f"{node.name}: {lines}"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LINES_PER_FUNCTION_MAX
    ]

    assert long == []
    assert lines_in_file <= LINES_PER_FILE_MAX


@pytest.mark.parametrize("path", LAYERED, ids=named)
def test_modules_open_with_what_must_stay_true(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [named(p) for p in MODULES if BANNED_NAMES & set(re.split(r"[_/.]", named(p)))]

    assert vague == []


def test_unfinished_work_is_not_left_behind() -> None:
    assert places(BANNED_WORDS, [path for path in FILES if path.suffix in PROSE]) == []


def test_nothing_names_a_registry_or_a_place_on_one_machine() -> None:
    assert places(REGISTRY_HOSTS, FILES) == []
    assert places(MACHINE_PATHS, FILES) == []


def places(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{named(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_versions_are_pinned_by_hash_and_by_nothing_else() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    rest = [line for line in lines if line and not line.startswith("#")]

    assert [line for line in rest if not PINNED.fullmatch(line)] == []
    assert "uv.lock" in IGNORE_RULES, "it names a registry's host"


def test_every_folder_is_a_layer_and_is_linked() -> None:
    folders = {path.parent.name for path in MODULES if path.match("*/__init__.py")}
    top = {name for name in folders if (ROOT / name / "__init__.py").exists()} - {"tests"}
    links = {
        path.name: path.readlink().as_posix()
        for path in (ROOT / "src" / "quorate").iterdir()
        if path.is_symlink()
    }

    assert top == set(BELOW)
    assert links == {folder: f"../../{folder}" for folder in BELOW}
