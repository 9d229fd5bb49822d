"""`quorate serve`: run the service."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli import mail_options, server_options
from quorate.cli.groups import SectionedCommand
from quorate.cli.options import require_default_data_dir
from quorate.cli.parameter_types import Duration, IntegerRange, WorkerCount
from quorate.runtime.service_defaults import (
    AGENT_RETENTION_HOURS_DEFAULT,
    HOST_DEFAULT,
    LOG_LEVEL_DEFAULT,
    LOG_LEVELS,
    NATS_PORT_DEFAULT,
    PORT_DEFAULT,
    PORT_MAX,
    RETENTION_HOURS_DEFAULT,
    RETENTION_HOURS_MAX,
    RETENTION_HOURS_MIN,
    STREAM_REPLICAS_MAX,
    TASK_RETENTION_DAYS_DEFAULT,
    TASK_RETENTION_DAYS_MAX,
    TASK_RETENTION_DAYS_MIN,
    WINDOW_SECONDS_DEFAULT,
    WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN,
    find_default_data_dir,
    has_nats_scheme,
)
from quorate.runtime.url_redaction import redact_url

if TYPE_CHECKING:
    from quorate.server.container import Options
    from quorate.server.run import Addresses

PORT = IntegerRange(0, PORT_MAX)
FILE = click.Path(dir_okay=False, path_type=Path)

EPILOG = """
\b
Examples:
  quorate serve
  quorate serve --port 0 --nats-port 0 --heartbeat-window-seconds 2
  QUORATE_DATA_DIR=/srv/quorate quorate serve --host 0.0.0.0

The first start creates the data directory, the tenant "default", and credentials.json with the
admin key and a tenant key.
"""


class ServeCommand(SectionedCommand):
    """The command with its options under headings; see cli/server_options.py for the limits."""

    headings = (
        ("nats_", "NATS"),
        ("database_", "Database"),
        ("rate_", "Rate limits"),
        ("burst_", "Rate limits"),
        ("failed_", "Rate limits"),
        ("read_", "Rate limits"),
        ("connections_", "Connections"),
        ("unread_", "Connections"),
        ("quota_", "Quotas per tenant"),
        ("admin_key", "Keys"),
        ("api_key", "Keys"),
        ("heartbeat_", "Agents and notifications"),
        ("agent_", "Agents and notifications"),
        ("notification_", "Agents and notifications"),
        ("task_", "Tasks"),
        ("smtp_", "Mail"),
        ("mail_", "Mail"),
        ("trusted_", "HTTP"),
        ("cors_", "HTTP"),
        ("fast_", "HTTP"),
        ("workers", "Process"),
        ("otel_", "Process"),
        ("log_", "Process"),
    )


@click.command(cls=ServeCommand, epilog=EPILOG)
@click.option("--host", default=HOST_DEFAULT, show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=PORT, default=PORT_DEFAULT, show_default=True, help="HTTP port; 0 picks one."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=require_default_data_dir,
    show_default="the user's data directory",
    help="Directory of the database, the nats-server files and credentials.json.",
)
@click.option(
    "--database-url",
    default=None,
    help="Database of the event log, e.g. postgresql+asyncpg://user@host/database or"
    " sqlite+aiosqlite:////path/to/file. [default: quorate.db in the data directory]",
)
@click.option(
    "--database-password-file", type=FILE, default=None, help="File with the PostgreSQL password."
)
@click.option(
    "--allow-newer-schema",
    is_flag=True,
    help="Start on a SQLite database of a newer version, which is refused otherwise.",
)
@click.option(
    "--nats-url",
    default=None,
    help="URL of an external nats-server (see `quorate nats-config`) instead of the embedded one;"
    " separate the servers of a cluster with commas.",
)
@click.option(
    "--nats-keys-file",
    type=FILE,
    default=None,
    help="File with the NATS keys that all replicas share (see `quorate secrets`)."
    " [default: nats/keys.json in the data directory]",
)
@click.option(
    "--nats-stream-replicas",
    type=IntegerRange(1, STREAM_REPLICAS_MAX),
    default=1,
    show_default=True,
    help="Number of NATS servers that store the JetStream mirror of the event log.",
)
@click.option(
    "--nats-port",
    type=PORT,
    default=NATS_PORT_DEFAULT,
    show_default=True,
    help="Port of the embedded nats-server; 0 picks one.",
)
@click.option(
    "--nats-host",
    default=HOST_DEFAULT,
    show_default=True,
    help="Address that the embedded nats-server listens on.",
)
@click.option(
    "--heartbeat-window-seconds",
    type=Duration("s", WINDOW_SECONDS_MIN, WINDOW_SECONDS_MAX),
    default=f"{WINDOW_SECONDS_DEFAULT:g}s",
    show_default=True,
    help="Heartbeat timeout: an agent becomes inactive this long after its last heartbeat.",
)
@click.option(
    "--notification-retention-hours",
    type=Duration("h", RETENTION_HOURS_MIN, RETENTION_HOURS_MAX),
    default=f"{RETENTION_HOURS_DEFAULT:g}h",
    show_default=True,
    help="How long notifications stay readable for agents that reconnect.",
)
@click.option(
    "--agent-retention-hours",
    type=Duration("h", 0, RETENTION_HOURS_MAX),
    default=f"{AGENT_RETENTION_HOURS_DEFAULT:g}h",
    show_default=True,
    help="Remove the names of agents without an API key that were inactive for this long; 0 keeps"
    " them.",
)
@click.option(
    "--task-retention-days",
    type=Duration("d", TASK_RETENTION_DAYS_MIN, TASK_RETENTION_DAYS_MAX),
    default=f"{TASK_RETENTION_DAYS_DEFAULT:g}d",
    show_default=True,
    help="How long a task and its texts stay readable after its end; then they are erased.",
)
@click.option(
    "--workers",
    type=WorkerCount(),
    default="1",
    show_default=True,
    help="Number of processes that serve HTTP; auto: one less than there are cores. More than 1"
    " on SQLite: another process writes the log, and one serves NATS.",
)
@click.option(
    "--admin-key-file",
    type=FILE,
    default=None,
    help="File with the admin key from `quorate secrets`; recorded at the first start.",
)
@click.option(
    "--api-key-file",
    type=FILE,
    default=None,
    help="File with the key of the tenant default, from `quorate secrets`. With this option or"
    " --admin-key-file, no credentials.json is written.",
)
@server_options.mail_options
@mail_options.delivery_options
@server_options.http_options
@server_options.limit_options
@click.option(
    "--otel-endpoint",
    default=None,
    help="URL of an OpenTelemetry collector for traces (OTLP over HTTP), e.g. http://host:4318.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default=LOG_LEVEL_DEFAULT,
    show_default=True,
    help="Lowest level to log; debug also logs successful requests.",
)
def serve(**chosen: Any) -> None:  # noqa: ANN401 - click checks each value by its option.
    """Run the service: HTTP API, event log and embedded nats-server."""
    from quorate.server import logging
    from quorate.server.run import CannotStart, run, serve
    from quorate.server.workers import supervise

    _check_database(chosen["database_url"])
    _check_collector(chosen["otel_endpoint"])
    _check_nats(chosen["nats_url"])
    options = _options(chosen)
    logging.configure(chosen["log_level"])
    listen = {"host": chosen["host"], "port": chosen["port"]}
    announce_ready = partial(announce, options)
    if chosen["workers"] > 1:
        main = partial(
            supervise,
            options,
            **listen,
            workers=chosen["workers"],
            log_level=chosen["log_level"],
            announce=announce_ready,
        )
    else:
        main = partial(serve, options, **listen, announce=announce_ready)
    try:
        run(main)
    except CannotStart as obstacle:
        click.echo(f"Error: {obstacle}", err=True)
        sys.exit(1)


def _options(chosen: dict[str, Any]) -> "Options":
    from quorate.server.container import Options

    data_dir = chosen["data_dir"].expanduser().resolve()
    return Options(
        data_dir=data_dir,
        database_url=chosen["database_url"],
        database_password_file=chosen["database_password_file"],
        nats_port=chosen["nats_port"],
        nats_host=chosen["nats_host"],
        nats_url=chosen["nats_url"],
        nats_keys_file=chosen["nats_keys_file"],
        nats_stream_replicas=chosen["nats_stream_replicas"],
        window_seconds=chosen["heartbeat_window_seconds"],
        notification_retention_hours=chosen["notification_retention_hours"],
        agent_retention_hours=chosen["agent_retention_hours"],
        task_retention_days=chosen["task_retention_days"],
        admin_key_file=chosen["admin_key_file"],
        api_key_file=chosen["api_key_file"],
        rates=server_options.build_rates(chosen),
        quotas=server_options.build_quotas(chosen),
        connection_limits=server_options.build_connection_limits(chosen),
        trusted_proxies=chosen["trusted_proxy"],
        otel_endpoint=chosen["otel_endpoint"],
        fast_lane=chosen["fast_lane"],
        allow_newer_schema=chosen["allow_newer_schema"],
        mail_domain=chosen["mail_domain"],
        cors_origins=chosen["cors_origin"],
        mail=mail_options.build_mail_options(chosen),
    )


def _check_database(url: str | None) -> None:
    from quorate.eventlog.database_url import UnknownDatabase, create_database

    try:
        if url is not None:
            create_database(url)
    except UnknownDatabase as error:
        raise click.UsageError(f"--database-url: {redact_url(str(error))}") from error


def _check_collector(url: str | None) -> None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.UsageError("--otel-endpoint must be a URL, e.g. http://localhost:4318.")


def _check_nats(url: str | None) -> None:
    if url is not None and not has_nats_scheme(url):
        raise click.UsageError("--nats-url must be a URL, e.g. nats://localhost:4222.")


def _nats_state(addresses: "Addresses") -> str:
    """Return what to print behind the URL of NATS."""
    return "" if addresses.is_nats_connected else "   (not connected; the service keeps trying)"


def announce(options: "Options", addresses: "Addresses") -> None:
    """Print the addresses, what the service found, and a first command."""
    key_file = options.api_key_file or options.admin_key_file
    database = options.database_url and redact_url(options.database_url)
    click.echo(
        f"""
Quorate is running.

  HTTP         {addresses.url}   (API documentation: {addresses.url}/docs)
  NATS         {redact_url(addresses.nats_url)}{_nats_state(addresses)}
  Data         {database or options.data_dir}{_found(addresses.events)}
  Credentials  {key_file or options.data_dir / "credentials.json"}

Register the first agent, in another terminal:

{_first_command(options, addresses)}

Stop with Ctrl-C."""
    )


def _found(events: int | None) -> str:
    if events is None:
        return ""
    return f"   (existing data: {events} events)" if events else "   (new)"


def _first_command(options: "Options", addresses: "Addresses") -> str:
    """Return a command that works in another terminal, in the same directory."""
    key_file = options.api_key_file or options.admin_key_file
    register = f"  {_program()} agents register outreach-agent"
    if key_file:
        return (
            f"  export QUORATE_URL={addresses.url}\n"
            f"  export QUORATE_API_KEY=$(cat {key_file})\n{register}"
        )
    default = find_default_data_dir()
    if default is None or options.data_dir != default.resolve():
        return f"{register} --data-dir {options.data_dir}"
    return register


def _program() -> str:
    """Return the name of this program if the shell finds it, else its path."""
    import shutil

    path = Path(sys.argv[0])
    found = shutil.which("quorate")
    if path.name != "quorate" or (found is not None and Path(found).samefile(path)):
        return "quorate"
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
