"""Conventions of the repository: sizes, docstrings, names, pinned versions, local paths."""

import ast
import re
from pathlib import Path

from tests.architecture.source_tree import (
    FILES,
    IGNORE_RULES,
    LAYERED,
    MODULES,
    found_in,
    parse,
    path_name,
)
from tests.support.paths import ROOT

LINES_PER_FUNCTION_MAX = 70
LINES_PER_FILE_MAX = 400
# Written in two parts, so that this file does not match its own pattern.
UNFINISHED = re.compile(r"\b(?:" + "|".join(("FIX" + "ME", "TO" + "DO", "XX" + "X")) + r")\b")
VAGUE_NAMES = {"base", "common", "helper", "helpers", "manager", "managers", "util", "utils"}
REGISTRY_HOSTS = re.compile(
    r"pypi\.(?:org|io)|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|proxy\.golang\.org"
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:tmp|work|root|home|farm)/[\w.-]")
# A version with its hashes, or one of those.
PINNED = re.compile(r"[\w.-]+==\S+(?: ; .+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?")
TEXT = {".cfg", ".md", ".py", ".sh", ".sql", ".toml", ".txt", ".yaml", ".yml", ""}


def too_long(path: Path) -> list[str]:
    lines_in_file = len(path.read_text().splitlines())
    long = [
        f"{node.name}: {lines}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LINES_PER_FUNCTION_MAX
    ]

    return long if lines_in_file <= LINES_PER_FILE_MAX else [f"the file: {lines_in_file}", *long]


def test_functions_and_files_are_short() -> None:
    assert found_in(MODULES, too_long) == {}


def test_each_module_has_a_docstring() -> None:
    assert [path_name(path) for path in LAYERED if not ast.get_docstring(parse(path))] == []


def test_no_module_has_a_vague_name() -> None:
    vague = [path_name(p) for p in MODULES if VAGUE_NAMES & set(re.split(r"[_/.]", path_name(p)))]

    assert vague == []


def test_no_file_has_a_marker_of_unfinished_work() -> None:
    assert matching_lines(UNFINISHED, [path for path in FILES if path.suffix in TEXT]) == []


def test_no_file_names_a_registry_host_or_a_local_path() -> None:
    assert matching_lines(REGISTRY_HOSTS, FILES) == []
    assert matching_lines(MACHINE_PATHS, FILES) == []


def matching_lines(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path_name(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_versions_are_pinned_by_hash_only() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    rest = [line for line in lines if line and not line.startswith("#")]

    assert [line for line in rest if not PINNED.fullmatch(line)] == []
    assert "uv.lock" in IGNORE_RULES, "it names a registry's host"
