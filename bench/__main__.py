"""``python -m quorate.bench``: what a command costs here, beside what others need for the same.

Prints a table and writes JSON. Figures are to be read as ratios within one run: machines differ,
and the load generator shares the processor with what it loads.
"""

import asyncio
import json
import tempfile
from pathlib import Path

import click

from quorate.bench import (
    fan_out,
    growth,
    on_postgres,
    over_nats,
    peers,
    report,
    round_trip,
    scenarios,
)
from quorate.bench.report import Row

EPILOG = """
\b
Examples:
  python -m quorate.bench
  python -m quorate.bench --quick --only acquire --only echo
"""
SECONDS_DEFAULT = 8.0
SECONDS_QUICK = 2.0

SCENARIOS = {
    "echo": scenarios.echo,
    "acquire": scenarios.acquire,
    "heartbeat": scenarios.heartbeat,
    "nats": over_nats.acquire,
    "notification": scenarios.notification,
    "fan-out": fan_out.fan_out,
    "sdk": round_trip.lease,
    "rebuild": scenarios.rebuild,
    "postgres": on_postgres.acquire,
    "etcd": peers.etcd,
    "jetstream": peers.jetstream,
}
# These take minutes: they are measured when they are asked for.
LONG = {
    "live-leases": growth.live_leases,
    "events": growth.events,
}


@click.command(epilog=EPILOG)
@click.option("--quick", is_flag=True, help=f"{SECONDS_QUICK:g} s a row: to see that it runs.")
@click.option("--seconds", type=click.FloatRange(1, 60), help="Load for each row.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([*SCENARIOS, *LONG]),
    help=f"Rows to measure: all but {', '.join(LONG)}, which take minutes.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bench-results/latest.json"),
    show_default=True,
    help="Where the figures go.",
)
def main(quick: bool, seconds: float | None, only: tuple[str, ...], json_file: Path) -> None:  # noqa: FBT001
    """Measure, print a table, write JSON."""
    duration = seconds or (SECONDS_QUICK if quick else SECONDS_DEFAULT)
    rows: list[Row] = []
    for name in only or SCENARIOS:
        click.echo(f"measuring {name} ...", err=True)
        with tempfile.TemporaryDirectory(prefix="quorate-bench-", dir=Path.cwd()) as folder:
            rows += asyncio.run({**SCENARIOS, **LONG}[name](Path(folder), duration))
    report.show(rows)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report.as_json(rows), indent=2) + "\n", "utf-8")
    click.echo(f"written to {json_file}", err=True)


if __name__ == "__main__":
    main()
