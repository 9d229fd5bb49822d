"""`quorate mirror reset`: delete the JetStream mirror of the event log, so that it is recreated.

Needed when the mirror contains events that the log lacks, because an older log was restored. The
service does not reset the mirror automatically: it may be the only copy of the lost events.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.options import data_dir_option
from quorate.cli.output.console import print_line
from quorate.cli.output.errors import UNAVAILABLE, Failure

if TYPE_CHECKING:
    from quorate.bus.outbox.jetstream_stream import StreamState

CREDENTIALS = "credentials.json"
EPILOG = """
\b
Example:
  quorate mirror reset --yes
"""


@click.command(epilog=EPILOG)
@data_dir_option("Data directory of the service, for its NATS URL and keys.")
@click.option(
    "--nats-url",
    help="URL of the nats-server. [default: from credentials.json in the data directory]",
)
@click.option(
    "--nats-keys-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the NATS keys of the service. [default: nats/keys.json in the data directory]",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def reset(data_dir: Path, nats_url: str | None, nats_keys_file: Path | None, yes: bool) -> None:
    """Delete the JetStream mirror of the event log; the running service recreates it.

    Use it only after an older log was restored and the service has logged `mirror.stopped`.
    Consumers of the stream are deleted too, and so are events that only the mirror contains.
    """
    import asyncio

    from quorate.server import logging

    logging.configure("warning")
    data_dir = data_dir.expanduser()
    url = nats_url or _url_in(data_dir / CREDENTIALS)
    keys_file = nats_keys_file or _keys_in(data_dir)
    if not yes:
        click.confirm(f"Delete the JetStream mirror at {url}?", abort=True)
    found = asyncio.run(_reset(url, keys_file))
    if found is None:
        print_line("No mirror found; the service creates one.")
    else:
        print_line(
            f"Deleted {found.messages} events, up to position {found.last}; "
            "the service recreates the mirror from the log."
        )


def _is_login_failure(lost: Exception) -> bool:
    return "authorization" in str(lost).lower()


def _url_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_text("utf-8"))["natsUrl"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Failure(f"{path} does not contain a NATS URL: set --nats-url") from error


def _keys_in(data_dir: Path) -> Path:
    from quorate.bus.embedded.configuration import KEYS_FILE
    from quorate.bus.service import FOLDER

    return data_dir / FOLDER / KEYS_FILE


async def _reset(url: str, keys_file: Path) -> "StreamState | None":
    """Delete the stream and return its last state; None if there was no stream."""
    from quorate.bus.connection import ConnectionLost, RequestTimeout, connect
    from quorate.bus.embedded.configuration import KeysUnreadable, read_keys
    from quorate.bus.outbox.jetstream_stream import LogStream, StreamRejected

    try:
        connection = await connect(url, read_keys(keys_file).service, "quorate-mirror")
    except KeysUnreadable as error:
        raise Failure(str(error)) from error
    except ConnectionLost as lost:
        advice = "; check the NATS keys (--nats-keys-file)" if _is_login_failure(lost) else ""
        raise Failure(f"Cannot connect to NATS: {lost}{advice}", UNAVAILABLE) from lost
    try:
        stream = LogStream(connection)
        found = await stream.state()
        if found is not None:
            await stream.delete()
    except (StreamRejected, RequestTimeout, ConnectionLost) as error:
        raise Failure(f"NATS rejected the request: {error}", UNAVAILABLE) from error
    else:
        return found
    finally:
        await connection.close()
