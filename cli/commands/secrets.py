"""`quorate secrets`: create the secrets that the replicas of a service share.

Guarantees:

* An existing file is never changed, so the command can run before every start.
* Each file is created atomically with mode 0600. Only file names are printed.
* When two processes run at once, one creates each file and both use that file.
"""

import os
import secrets as random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import click

from quorate.cli.output.console import print_hint

PASSWORD_BYTES = 32
EPILOG = """
\b
Example:
  quorate secrets ./secrets
  quorate nats-config --nats-keys-file ./secrets/nats_keys.json > nats.conf

Pass the files to each replica with these options of `quorate serve`: --admin-key-file,
--api-key-file, --database-password-file and --nats-keys-file.
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def secrets(folder: Path) -> None:
    """Create the secrets that replicas share in FOLDER; existing files stay unchanged.

    Files: admin_key, api_key (for the tenant default), nats_keys.json, nats_route_password and
    postgres_password.
    """
    from quorate.bus.embedded.configuration import create_private_directory

    create_private_directory(folder)
    for name, make in SECRETS.items():
        if not (folder / name).exists():
            _write_once(folder / name, make())
            print_hint(f"Created {folder / name}")


def _key() -> str:
    from quorate.application.identity.api_keys import new_key

    return new_key().full_key


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
    from quorate.bus.embedded.configuration import write_private_file

    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    write_private_file(temporary, f"{content}\n".encode())
    with suppress(FileExistsError):  # Another process created it first; use that file.
        path.hardlink_to(temporary)
    temporary.unlink()
