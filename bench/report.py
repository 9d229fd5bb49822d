"""Print the figures as a table, and convert them to JSON."""

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
    """One figure. If it could not be measured, ``value`` is None and ``note`` is the reason."""

    name: str
    unit: str
    value: float | None
    note: str = ""


ECHO = "bare HTTP echo"
ACQUIRE = "durable acquisitions over HTTP"
SENDS = "messages to one agent each over HTTP"
CLAIMS = "tasks claimed and completed over HTTP"
OVER_NATS = "durable acquisitions over NATS"
JETSTREAM = "JetStream KV create, sync_interval: always"
ETCD = "etcd gateway: grant + create-if-absent"
REDIS = "Redis SET NX EX, appendfsync always"
UPSERT = "PostgreSQL upsert"


def ratios(rows: Sequence[Row]) -> list[Row]:
    """Return the ratios that have an aim: a figure of Quorate over a figure to compare with."""
    values = {row.name: row.value for row in rows}
    pairs = (
        ("acquisitions / echo (aim 0.5)", ACQUIRE, ECHO),
        ("messages / acquisitions (aim 0.6)", SENDS, ACQUIRE),
        ("acquisitions / etcd (aim above 1)", ACQUIRE, ETCD),
        ("acquisitions / Redis", ACQUIRE, REDIS),
        ("acquisitions / PostgreSQL upsert", ACQUIRE, UPSERT),
        ("acquisitions over NATS / JetStream KV (aim above 1)", OVER_NATS, JETSTREAM),
    )
    result = []
    for name, one, compared_name in pairs:
        measured, compared = values.get(one), values.get(compared_name)
        if measured and compared:
            result.append(Row(name=name, unit="ratio", value=measured / compared))
    return result


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
