"""Modules import only lower layers, contexts are independent, and there are no import cycles."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import (
    BELOW,
    LAYERED,
    MODULE_NAMES,
    MODULES,
    SERVER,
    found_in,
    imported_modules,
    imported_names,
    layer_of,
    module_name,
    parse,
)
from tests.support.paths import ROOT

# Layers that a layer may import inside functions, so that only commands that need them load them.
LAZY_IMPORTS = {"cli": SERVER}
# Contexts may use ``identity`` and ``shared``. Anything else is listed here, with its direction.
CONTEXTS = {"identity", "coordination", "mail", "sessions"}
CONTEXTS_BELOW = {
    "identity": set[str](),
    "coordination": {"identity"},
    "mail": {"identity", "coordination"},
    "sessions": {"identity"},
}
# A request to the send gate may carry a message, which is sent in the transaction of the decision.
SENDING_GATE = {"contracts/coordination/send_gate.py", "application/coordination/send_gate.py"}
# Layers in which a context has a folder, and files that join contexts.
LAYERS_WITH_CONTEXTS = {"domain", "contracts", "projections", "application"}

# The domain takes time, ids and random bytes as arguments. These modules would bypass that.
IMPURE_MODULES = {
    *("asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *("shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time"),
}
# Libraries that only compute, each with its reason in a decision: cronsim (0115).
PURE_LIBRARIES = {"cronsim"}
IMPURE_CALLS = {"input", "now", "open", "print", "today", "utcnow", "uuid1", "uuid4", "uuid7"}


def imported_on_load(tree: ast.AST) -> Iterator[str]:
    """Yield imported names, except those inside functions or for the type checker only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported_names(node)
        else:
            yield from imported_on_load(node)


def layers(names: Iterator[str]) -> set[str]:
    parts = [name.split(".") for name in names]
    return {rest[0] for top, *rest in parts if top == "quorate" and rest and rest[0] in BELOW}


def layers_above(path: Path) -> set[str]:
    tree, layer = parse(path), layer_of(path)
    allowed = BELOW[layer] | {layer}
    lazily = allowed | LAZY_IMPORTS.get(layer, set())
    return (layers(imported_on_load(tree)) - allowed) | (layers(imported_names(tree)) - lazily)


def test_modules_import_only_layers_below() -> None:
    assert found_in(LAYERED, layers_above) == {}


def context_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and parts[2] in CONTEXTS else None


def contexts_above(path: Path) -> set[str | None]:
    own = context_of(module_name(path))
    if own is None:
        return set()
    used = {context_of(module) for module in imported_modules(path)} - {None, own}
    more = {"mail"} if path.relative_to(ROOT).as_posix() in SENDING_GATE else set()
    return used - CONTEXTS_BELOW[own] - more


def test_contexts_import_only_contexts_below() -> None:
    assert found_in(LAYERED, contexts_above) == {}


def test_rules_of_mail_use_the_send_gate_only() -> None:
    """The rules of mail know of coordination only whether a contact may be written to."""
    used = {
        module
        for path in (ROOT / "domain" / "mail").glob("*.py")
        for module in imported_modules(path)
        if module.startswith("quorate.domain.coordination")
    }

    assert used == {"quorate.domain.coordination.send_gate"}


def test_contexts_have_the_same_folders_in_each_layer() -> None:
    found = {layer: {one.name for one in (ROOT / layer).iterdir()} for layer in BELOW}

    assert {
        layer: CONTEXTS & names for layer, names in found.items() if CONTEXTS & names
    } == dict.fromkeys(LAYERS_WITH_CONTEXTS, CONTEXTS)


def import_cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return groups of modules that import each other, directly or not (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_there_are_no_import_cycles() -> None:
    """Imports inside functions and under TYPE_CHECKING count too."""
    assert (
        import_cycles({name: imported_modules(path) for name, path in MODULE_NAMES.items()}) == []
    )


def test_import_cycle_is_detected() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}

    assert import_cycles(graph) == [["a", "b", "c"]]


def impurities(path: Path) -> set[str]:
    """Return other libraries, modules with side effects, and calls that read time or chance.

    Time, ids and random bytes are passed as arguments.
    """
    tree = parse(path)
    tops = {name.split(".")[0] for name in imported_names(tree)} - {"quorate"}
    calls = {called_name(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    foreign = tops - sys.stdlib_module_names - PURE_LIBRARIES
    return foreign | (tops & IMPURE_MODULES) | (calls & IMPURE_CALLS)


def test_domain_is_pure() -> None:
    assert found_in([path for path in LAYERED if layer_of(path) == "domain"], impurities) == {}


def called_name(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def imports_of_folders(path: Path) -> set[str]:
    """Return imports such as ``domain``, which would be another module than quorate.domain."""
    return {name.split(".")[0] for name in imported_names(parse(path))} & set(BELOW)


def test_imports_go_through_quorate() -> None:
    assert found_in(MODULES, imports_of_folders) == {}


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
