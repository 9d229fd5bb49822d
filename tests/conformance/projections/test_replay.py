"""A replay depends only on the log, not on the clock, randomness or the environment."""

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
from tests.conformance.projections.test_rebuild import execute, rows_of


def events_of(path: Path) -> list[ReplayRow]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT position, tenant, sequence, type, version, at, actor, data FROM events "
            "ORDER BY position"
        ).fetchall()


def test_replay_uses_no_clock_randomness_or_environment(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a replay must not call this")

    events = events_of(history)
    with monkeypatch.context() as forbidding:
        for module, name in (
            *((time, name) for name in ("time", "time_ns", "monotonic", "perf_counter")),
            *((random, name) for name in ("random", "randint", "choice")),
            *((os, name) for name in ("urandom", "getenv", "stat")),
            (secrets, "token_bytes"),
        ):
            forbidding.setattr(module, name, fail)
        forbidding.setattr(type(os.environ), "__getitem__", fail)
        replay = Replay()
        replay.apply(events)
        rows = sum(map(len, replay.remaining_rows().values()))

    assert rows == sum(map(len, rows_of(history).values()))


def test_final_rows_are_returned_once(history: Path) -> None:
    replay, final_rows = Replay(), 0
    for event in events_of(history):
        replay.apply([event])
        final_rows += sum(map(len, replay.final_rows().values()))

    assert final_rows > 0
    assert final_rows + sum(map(len, replay.remaining_rows().values())) == sum(
        map(len, rows_of(history).values())
    )
    assert not any(map(len, replay.final_rows().values()))


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8"},
    ],
    ids=["east", "west"],
)
def test_rebuild_does_not_depend_on_the_environment(
    history: Path, environment: dict[str, str]
) -> None:
    rows = rows_of(history)
    execute(history, "DELETE FROM leases", "DELETE FROM requests", "DELETE FROM notices")
    execute(history, "UPDATE agents SET role = ''")

    subprocess.run(
        [sys.executable, "-m", "quorate.cli.main", "rebuild", "--data-dir", str(history.parent)],
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
    )

    assert rows_of(history) == rows
