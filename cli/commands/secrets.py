"""`quorate secrets`: what the processes of one service share, made once, in one folder.

* A file that is there stays as it is, so this can run before every start.
* Each file appears whole or not at all, readable by its owner only, and nothing is printed but
  names. Of two that run at the same moment one makes a file, and both leave the same one behind.
"""

import os
import secrets as random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import click

from quorate.cli.output.console import remark

PASSWORD_BYTES = 32
EPILOG = """
\b
Example:
  quorate secrets ./secrets
  quorate nats-config --nats-keys-file ./secrets/nats_keys.json > nats.conf

Each replica is told where they are: `quorate serve` has --admin-key-file, --api-key-file,
--database-password-file and --nats-keys-file.
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def secrets(folder: Path) -> None:
    """Make the secrets that replicas share, each file once.

    The operator's key, the key of the tenant default, the service's keys for NATS, a password for
    PostgreSQL, and one that the servers of a NATS cluster show each other.
    """
    from quorate.bus.embedded.configuration import private_folder

    private_folder(folder)
    for name, make in SECRETS.items():
        if not (folder / name).exists():
            _write_once(folder / name, make())
            remark(f"{folder / name} is new.")


def _key() -> str:
    from quorate.application.identity.api_keys import new_key

    return new_key().text


def _nats_keys() -> str:
    from quorate.bus.embedded.configuration import new_keys

    return new_keys()


def _password() -> str:
    return random.token_hex(PASSWORD_BYTES)


SECRETS: Mapping[str, Callable[[], str]] = {
    "admin_key": _key,
    "api_key": _key,
    "nats_keys.json": _nats_keys,
    "nats_route_password": _password,
    "postgres_password": _password,
}


def _write_once(path: Path, content: str) -> None:
    from quorate.bus.embedded.configuration import write_private

    mine = path.with_name(f"{path.name}.{os.getpid()}")
    write_private(mine, f"{content}\n".encode())
    with suppress(FileExistsError):  # Another was faster; its file counts.
        path.hardlink_to(mine)
    mine.unlink()
