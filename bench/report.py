"""Figures as a table for people and as JSON for programs."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from quorate.domain.shared.records import record


@record
class Row:
    """One figure; ``value`` is None when it could not be measured, and ``note`` says why."""

    name: str
    unit: str
    value: float | None
    note: str = ""


ECHO = "bare HTTP echo"
ACQUIRE = "durable acquisitions over HTTP"
OVER_NATS = "durable acquisitions over NATS"
JETSTREAM = "JetStream KV create, sync_interval: always"
ETCD = "etcd gateway: grant + create-if-absent"


def ratios(rows: Sequence[Row]) -> list[Row]:
    """What the aims speak of: our figure over the figure beside it."""
    values = {row.name: row.value for row in rows}
    pairs = (
        ("acquisitions / echo (aim 0.5)", ACQUIRE, ECHO),
        ("acquisitions / etcd (aim above 1)", ACQUIRE, ETCD),
        ("acquisitions over NATS / JetStream KV (aim above 1)", OVER_NATS, JETSTREAM),
    )
    found = []
    for name, one, other in pairs:
        ours, theirs = values.get(one), values.get(other)
        if ours and theirs:
            found.append(Row(name=name, unit="ratio", value=ours / theirs))
    return found


def show(rows: Sequence[Row]) -> None:
    table = Table(title="Quorate, measured")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("unit")
    table.add_column("note", overflow="fold")
    for row in [*rows, *ratios(rows)]:
        figure = "-" if row.value is None else _figure(row.value)
        table.add_row(row.name, figure, row.unit, row.note)
    Console().print(table)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "rows": [
            {"name": row.name, "unit": row.unit, "value": row.value, "note": row.note}
            for row in [*rows, *ratios(rows)]
        ],
    }
