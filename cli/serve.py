"""`quorate serve`: the whole service in one command."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.options import default_data_dir

if TYPE_CHECKING:
    from quorate.api.bootstrap import Credentials

PORT_DEFAULT = 8420
NATS_PORT_DEFAULT = 4222
WINDOW_SECONDS_DEFAULT = 300.0
WINDOW_SECONDS_MIN = 0.1
WINDOW_SECONDS_MAX = 86_400.0
RETENTION_HOURS_DEFAULT = 168.0
RETENTION_HOURS_MIN = 1 / 3_600
RETENTION_HOURS_MAX = 24 * 365 * 100.0
PORT = click.IntRange(0, 65_535)
LOG_LEVELS = ("debug", "info", "warning", "error")

EPILOG = """
\b
Examples:
  quorate serve
  quorate serve --port 0 --nats-port 0 --heartbeat-window-seconds 2
  QUORATE_DATA_DIR=/srv/quorate quorate serve --host 0.0.0.0

The first start creates the data folder, the tenant "default" and credentials.json with its keys.
"""


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=PORT, default=PORT_DEFAULT, show_default=True, help="HTTP port; 0 picks one."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_data_dir,
    show_default="the user's data folder",
    help="Where the log, nats-server's files and credentials.json live.",
)
@click.option(
    "--database-url",
    default=None,
    help="Where the log lives, if not in the data folder: sqlite+aiosqlite:////path/to/file.",
)
@click.option(
    "--nats-url",
    default=None,
    help="A nats-server of your own (see `quorate nats-config`) instead of the embedded one.",
)
@click.option(
    "--nats-port",
    type=PORT,
    default=NATS_PORT_DEFAULT,
    show_default=True,
    help="Port of the embedded nats-server; 0 picks one.",
)
@click.option(
    "--heartbeat-window-seconds",
    type=click.FloatRange(WINDOW_SECONDS_MIN, WINDOW_SECONDS_MAX),
    default=WINDOW_SECONDS_DEFAULT,
    show_default=True,
    help="How long an agent stays active after a heartbeat.",
)
@click.option(
    "--notice-retention-hours",
    type=click.FloatRange(RETENTION_HOURS_MIN, RETENTION_HOURS_MAX),
    default=RETENTION_HOURS_DEFAULT,
    show_default=True,
    help="How long an agent that was away can catch up on its notices.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes. On SQLite, one: two that write could corrupt the file.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    help="debug also logs requests that succeed.",
)
def serve(  # noqa: PLR0917 - click hands options over like this.
    host: str,
    port: int,
    data_dir: Path,
    database_url: str | None,
    nats_url: str | None,
    nats_port: int,
    heartbeat_window_seconds: float,
    notice_retention_hours: float,
    workers: int,
    log_level: str,
) -> None:
    """Run the service: HTTP, the log, and the nats-server that pushes."""
    from quorate.api import logs
    from quorate.api.app import Options
    from quorate.api.serving import CannotStart, run, serve

    if workers > 1:
        raise click.UsageError(
            "--workers beyond 1 needs a database that several processes may write, "
            "and SQLite is not one: use --workers 1."
        )
    for option, number in (
        ("--heartbeat-window-seconds", heartbeat_window_seconds),
        ("--notice-retention-hours", notice_retention_hours),
    ):
        if math.isnan(number):  # Nothing compares to it, no range keeps it out.
            raise click.UsageError(f"{option} must be a number.")
    logs.configure(log_level)
    options = Options(
        data_dir=data_dir.expanduser().resolve(),
        database=_database(database_url),
        nats_port=nats_port,
        nats_url=nats_url,
        window_seconds=heartbeat_window_seconds,
        notice_retention_hours=notice_retention_hours,
    )
    try:
        run(lambda: serve(options, host=host, port=port, announce=announce))
    except CannotStart as obstacle:
        click.echo(f"Error: {obstacle}", err=True)
        sys.exit(1)


def _database(url: str | None) -> Path | None:
    if url is None:
        return None
    for scheme in ("sqlite+aiosqlite:///", "sqlite:///"):
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme)).expanduser().resolve()
    raise click.UsageError(f"--database-url must begin with sqlite+aiosqlite:///, not {url!r}.")


def announce(found: "Credentials", data_dir: Path) -> None:
    """Say where everything is, and what to type first."""
    path = data_dir / "credentials.json"
    click.echo(
        f"""
Quorate is running.

  HTTP         {found["url"]}   (API documentation: {found["url"]}/docs)
  NATS         {found["natsUrl"]}
  Credentials  {path}

Your first request registers an agent:

  export QUORATE_API_KEY=$(python3 -c 'import json; print(json.load(open("{path}"))["apiKey"])')
  curl -X POST {found["url"]}/v1/agent/register \\
    -H "Authorization: Bearer $QUORATE_API_KEY" \\
    -H "Content-Type: application/json" \\
    -d '{{"agentName": "outreach-agent", "agentRole": "outbound"}}'

Stop with Ctrl-C."""
    )
