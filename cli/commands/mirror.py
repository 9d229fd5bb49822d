"""`quorate mirror reset`: the copy of the log in JetStream thrown away, to be made anew.

For when the copy has what the log has not: an older log was restored. The service does not do that
by itself, because the copy may then be all that is left of what was lost.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.options import data_dir_option
from quorate.cli.output.console import say
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
@data_dir_option("The service's data folder, for its NATS address and keys.")
@click.option("--nats-url", help="The nats-server. [default: the one in the data folder]")
@click.option(
    "--nats-keys-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The service's keys for NATS, where they are not in the data folder.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data_dir: Path, nats_url: str | None, nats_keys_file: Path | None, yes: bool) -> None:
    """Delete the copy of the log in JetStream; the running service fills it from the log again.

    Only when an older log was restored, and the service's own log says `mirror_halted`. Consumers
    of the stream are deleted with it, and what only the copy still had is gone.
    """
    import asyncio

    from quorate.server import logging

    logging.configure("warning")
    data_dir = data_dir.expanduser()
    url = nats_url or _url_in(data_dir / CREDENTIALS)
    keys_file = nats_keys_file or _keys_in(data_dir)
    if not yes:
        click.confirm(f"Delete the copy of the log at {url}?", abort=True)
    found = asyncio.run(_reset(url, keys_file))
    if found is None:
        say("There was no copy; the service makes one.")
    else:
        say(
            f"Deleted {found.messages} events, up to position {found.last}; "
            "the service fills the copy from the log."
        )


def _refused(lost: Exception) -> bool:
    return "authorization" in str(lost).lower()


def _url_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_text("utf-8"))["natsUrl"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Failure(f"{path} does not tell where NATS is: give --nats-url") from error


def _keys_in(data_dir: Path) -> Path:
    from quorate.bus.embedded.configuration import KEYS_FILE
    from quorate.bus.service import FOLDER

    return data_dir / FOLDER / KEYS_FILE


async def _reset(url: str, keys_file: Path) -> "StreamState | None":
    """What was deleted."""
    from quorate.bus.connection import ConnectionLost, Unanswered, connect
    from quorate.bus.embedded.configuration import KeysUnreadable, read_keys
    from quorate.bus.outbox.jetstream_stream import LogStream, StreamRefused

    try:
        connection = await connect(url, read_keys(keys_file).service, "quorate-mirror")
    except KeysUnreadable as error:
        raise Failure(str(error)) from error
    except ConnectionLost as lost:
        advice = "; are these its keys? --nats-keys-file names others" if _refused(lost) else ""
        raise Failure(f"NATS cannot be reached: {lost}{advice}", UNAVAILABLE) from lost
    try:
        stream = LogStream(connection)
        await stream.open()
        found = await stream.state()
        if found is not None:
            await stream.delete()
    except (StreamRefused, Unanswered, ConnectionLost) as error:
        raise Failure(f"NATS did not do it: {error}", UNAVAILABLE) from error
    else:
        return found
    finally:
        await connection.close()
