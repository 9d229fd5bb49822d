"""Fixtures of the conformance suites."""

import pytest

from quorate.eventlog.postgres import database as postgres_database


@pytest.fixture
def slow_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time between two statements, as in schema work."""
    seconds = postgres_database.MAINTENANCE_IDLE_SECONDS_MAX
    monkeypatch.setattr(postgres_database, "IDLE_IN_TRANSACTION_SECONDS_MAX", seconds)
