"""A fold looks at nothing but the log: not at the clock, not at chance, not at where it runs."""

import os
import random
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from quorate.projections.replay import Replay, ReplayRow
from tests.conformance.projections.test_rebuild import by_hand, rows_of


def events_of(path: Path) -> list[ReplayRow]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT position, tenant, sequence, type, version, at, data FROM events "
            "ORDER BY position"
        ).fetchall()


def test_no_clock_no_chance_and_no_environment_is_asked(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a fold must not ask for this")

    events = events_of(history)
    with monkeypatch.context() as forbidding:
        for module, name in (
            *((time, name) for name in ("time", "time_ns", "monotonic", "perf_counter")),
            *((random, name) for name in ("random", "randint", "choice")),
            *((os, name) for name in ("urandom", "getenv", "stat")),
            (secrets, "token_bytes"),
        ):
            forbidding.setattr(module, name, refuse)
        forbidding.setattr(type(os.environ), "__getitem__", refuse)
        fold = Replay()
        fold.apply(events)
        rows = sum(map(len, fold.remaining_rows().values()))

    assert rows == sum(map(len, rows_of(history).values()))


def test_what_is_settled_is_forgotten_and_never_told_twice(history: Path) -> None:
    fold, settled = Replay(), 0
    for event in events_of(history):
        fold.apply([event])
        settled += sum(map(len, fold.final_rows().values()))

    assert settled > 0
    assert settled + sum(map(len, fold.remaining_rows().values())) == sum(
        map(len, rows_of(history).values())
    )
    assert not any(map(len, fold.final_rows().values()))


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8"},
    ],
    ids=["east", "west"],
)
def test_another_process_elsewhere_builds_the_same(
    history: Path, environment: dict[str, str]
) -> None:
    rows = rows_of(history)
    by_hand(history, "DELETE FROM leases", "DELETE FROM requests", "DELETE FROM notices")
    by_hand(history, "UPDATE agents SET role = ''")

    subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "rebuild", "--data-dir", str(history.parent)],
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
    )

    assert rows_of(history) == rows
