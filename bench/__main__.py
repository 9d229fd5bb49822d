"""``python -m quorate.bench``: measure commands, and the same work in comparable systems.

Prints a table and writes JSON. Compare the figures only as ratios within one run: machines differ,
and the load generator shares the processor with the measured process.
"""

import asyncio
import json
import tempfile
from pathlib import Path

import click

from quorate.bench import (
    comparisons,
    console_pages,
    fan_out,
    flood,
    flood_http,
    growth,
    mail,
    mail_notifications,
    mail_search,
    mailboxes,
    on_postgres,
    over_nats,
    peers,
    report,
    round_trip,
    scenarios,
    session_pages,
    tasks,
    workers,
)
from quorate.bench.report import Row

EPILOG = """
\b
Examples:
  python -m quorate.bench
  python -m quorate.bench --quick --only acquire --only echo
"""
DEFAULT_SECONDS = 8.0
QUICK_SECONDS = 2.0

SCENARIOS = {
    "echo": scenarios.echo,
    "acquire": scenarios.acquire,
    "workers": workers.acquire,
    "heartbeat": scenarios.heartbeat,
    "nats": over_nats.acquire,
    "notification": scenarios.notification,
    "mail-notification": mail_notifications.mail_notification,
    "fan-out": fan_out.fan_out,
    "flood": flood.flood,
    "flood-http": flood_http.flood_http,
    "sdk": round_trip.lease,
    "send": mail.send,
    "mail-load": mail.acquisitions_beside_large,
    "inbox": mailboxes.inbox,
    "session-history": session_pages.history,
    "session-list": session_pages.sessions,
    "claim-complete": tasks.claim_complete,
    "task-offered": tasks.task_offered,
    "rebuild": scenarios.rebuild,
    "postgres": on_postgres.acquire,
    "etcd": comparisons.etcd,
    "jetstream": comparisons.jetstream,
    "redis": peers.redis,
    "upsert": peers.upsert,
}
# These take minutes, so they run only when --only names them.
LONG = {
    "console": console_pages.overview,
    "live-leases": growth.live_leases,
    "events": growth.events,
    "large-inbox": mailboxes.large_inbox,
    "mail-search": mail_search.mail_search,
    "large-session-history": session_pages.large_history,
}


@click.command(epilog=EPILOG)
@click.option(
    "--quick",
    is_flag=True,
    help=f"{QUICK_SECONDS:g} s for each row, to check that the benchmarks run.",
)
@click.option("--seconds", type=click.FloatRange(1, 60), help="Duration of the load for each row.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*SCENARIOS, *LONG]),
    help=f"Rows to measure. Default: all except {', '.join(LONG)}, which take minutes.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bench-results/latest.json"),
    show_default=True,
    help="File for the figures.",
)
def main(quick: bool, seconds: float | None, only: tuple[str, ...], json_file: Path) -> None:  # noqa: FBT001
    """Run the benchmarks, print a table and write JSON."""
    duration = seconds or (QUICK_SECONDS if quick else DEFAULT_SECONDS)
    rows: list[Row] = []
    for name in only or SCENARIOS:
        click.echo(f"Measuring {name} ...", err=True)
        with tempfile.TemporaryDirectory(prefix="quorate-bench-", dir=Path.cwd()) as folder:
            rows += asyncio.run({**SCENARIOS, **LONG}[name](Path(folder), duration))
    report.show(rows)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report.as_json(rows), indent=2) + "\n", "utf-8")
    click.echo(f"Wrote {json_file}", err=True)


if __name__ == "__main__":
    main()
