"""Every SQLite connection of the service is opened by aiosqlite, in one module."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_tree import LAYERED, parse, path_name

# Functions that open a database, and the modules that may use them, with the reason.
OPENERS: dict[str, dict[str, str]] = {
    "aiosqlite.connect": {
        "eventlog/sqlite/connection.py": "opens the connections of all other modules",
    },
    "sqlite3.connect": {},
    "sqlite3.dbapi2.connect": {},
    "sqlalchemy.create_engine": {},
    "sqlalchemy.engine.create_engine": {},
}


def openers_used(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of each opener that a module uses, under any local name."""
    local_names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local_names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                local_names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            name = ".".join(filter(None, (local_names.get(first, first), rest)))
            if name in OPENERS:
                yield name


def test_only_the_listed_modules_open_a_database() -> None:
    found = {(opener, path_name(path)) for path in LAYERED for opener in openers_used(parse(path))}

    assert found == {(opener, path) for opener, paths in OPENERS.items() for path in paths}


@pytest.mark.parametrize(
    ("source", "opener"),
    [
        ("import sqlite3\nsqlite3.connect('f')", "sqlite3.connect"),
        ("import sqlite3 as driver\ndriver.connect('f')", "sqlite3.connect"),
        ("from sqlite3 import connect as opened\nopened('f')", "sqlite3.connect"),
        ("import sqlite3.dbapi2\nsqlite3.dbapi2.connect('f')", "sqlite3.dbapi2.connect"),
        ("def f():\n    import sqlite3\n    run(sqlite3.connect, 'f')", "sqlite3.connect"),
        ("from sqlalchemy import create_engine\ncreate_engine('u')", "sqlalchemy.create_engine"),
        ("import aiosqlite\naiosqlite.connect('f')", "aiosqlite.connect"),
    ],
)
def test_opener_is_found_under_any_name(source: str, opener: str) -> None:
    assert list(openers_used(ast.parse(source))) == [opener]


@pytest.mark.parametrize(
    "source",
    [
        "import sqlite3\nclass A(sqlite3.Connection): ...",
        "from quorate.eventlog.sqlite.connection import connect\nconnect('f')",
        "self.postgres.connect('f')",
    ],
)
def test_other_functions_are_not_openers(source: str) -> None:
    assert list(openers_used(ast.parse(source))) == []
