"""What nats-server is told: who we are, where it listens, and that we say who may connect.

The keys of the service are made once per data folder and kept: clients hold none of them, and a
server that somebody else runs was told their public halves. No secret stands in the configuration.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import orjson

from quorate.bus.auth.jwt import Kind, NatsKey

ACCOUNT = "QUORATE"
SYSTEM_ACCOUNT = "SYS"
KEYS_FILE = "keys.json"
MESSAGE_MEGABYTES_MAX = 8
LOGIN_SECONDS_MAX = 2  # Clients wait no longer either.
WRITE_SECONDS_MAX = 2
SUBSCRIPTIONS_MAX = 64
PING_SECONDS = 5
PINGS_UNANSWERED_MAX = 2
STREAM_MEMORY_MEGABYTES_MAX = 64
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class KeysUnreadable(Exception):
    """There is no file with keys of ours."""


@dataclass(frozen=True)
class ServiceKeys:
    """Three identities of ours: the service, its view of the whole server, and who vouches."""

    service: NatsKey
    system: NatsKey
    issuer: NatsKey


_KINDS: dict[str, Kind] = {"service": "user", "system": "user", "issuer": "account"}


def service_keys(folder: Path) -> ServiceKeys:
    """The keys kept in ``folder``; made there, readable by its owner only, at the first start."""
    create_private_directory(folder)
    path = folder / KEYS_FILE
    if not path.exists():
        write_private_file(path, new_keys().encode())
    return read_keys(path)


def new_keys() -> str:
    """Keys that were never used, as they stand in a file."""
    return orjson.dumps({name: NatsKey.create(kind).seed for name, kind in _KINDS.items()}).decode()


def read_keys(path: Path) -> ServiceKeys:
    """Keys that were made before: processes that share a NATS share them. Raises KeysUnreadable."""
    try:
        seeds = orjson.loads(path.read_bytes())
        return ServiceKeys(
            **{field.name: NatsKey.of_seed(seeds[field.name]) for field in fields(ServiceKeys)}
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise KeysUnreadable(f"the keys for NATS in {path} cannot be read: {error}") from error


def create_private_directory(folder: Path) -> None:
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def write_private_file(path: Path, content: bytes) -> None:
    """Write a file that is there with all its content or not at all."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def server_configuration(
    keys: ServiceKeys, listen: str, store_dir: str, more: Sequence[str] = ()
) -> str:
    """The configuration file of a nats-server for Quorate, also of one that you run yourself.

    ``listen`` is ``host:port``; ``more`` are further lines of its configuration.
    """
    service, system = keys.service.public, keys.system.public
    return f"""\
# nats-server for Quorate. Agents log in with their API key as token; the service, which holds the
# keys named here, answers for each of them what it may subscribe to.
listen: {quote_string(listen)}
max_payload: {MESSAGE_MEGABYTES_MAX}MB
max_subscriptions: {SUBSCRIPTIONS_MAX}
# Nobody waits for a client that reads nothing. It is cut off long before so much is unread that
# the server would leave messages out: so it knows that it has to catch up.
no_fast_producer_stall: true
write_deadline: "{WRITE_SECONDS_MAX}s"
# A replica whose machine vanished without a word is asked for nothing more after a few seconds.
ping_interval: "{PING_SECONDS}s"
ping_max: {PINGS_UNANSWERED_MAX}
jetstream {{
  store_dir: {quote_string(store_dir)}
  max_memory_store: {STREAM_MEMORY_MEGABYTES_MAX}MB
}}
accounts {{
  {ACCOUNT} {{ jetstream: enabled, users: [ {{ nkey: {service} }} ] }}
  {SYSTEM_ACCOUNT} {{ users: [ {{ nkey: {system} }} ] }}
}}
system_account: {SYSTEM_ACCOUNT}
authorization {{
  timeout: {LOGIN_SECONDS_MAX}
  auth_callout {{
    issuer: {keys.issuer.public}
    account: {ACCOUNT}
    auth_users: [ {service} ]
    allowed_accounts: [ {ACCOUNT} ]
  }}
}}
{"".join(line + chr(10) for line in more)}"""


def quote_string(text: str) -> str:
    """A string of nats-server's configuration language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
