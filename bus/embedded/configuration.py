"""Configuration of nats-server: service users, listen address and auth callout.

* The service's keys are created once per data directory and stored there. No client has them.
* The configuration contains public keys only, also for a nats-server that is run separately.
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
# Near the largest response; the largest command has 64 KB. The server disconnects a client that
# sends more.
MESSAGE_KILOBYTES_MAX = 1_280
LOGIN_SECONDS_MAX = 2  # The timeout of clients.
WRITE_SECONDS_MAX = 2
SUBSCRIPTIONS_MAX = 64
PING_SECONDS = 5
PINGS_UNANSWERED_MAX = 2
STREAM_MEMORY_MEGABYTES_MAX = 64
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class KeysUnreadable(Exception):
    """The file with the service's NATS keys is missing or invalid."""


@dataclass(frozen=True)
class ServiceKeys:
    """The service's user, its user in the system account, and the issuer of agents' permissions."""

    service: NatsKey
    system: NatsKey
    issuer: NatsKey


_KINDS: dict[str, Kind] = {"service": "user", "system": "user", "issuer": "account"}


def service_keys(folder: Path) -> ServiceKeys:
    """Return the keys stored in ``folder``; at the first start create them, owner-readable only."""
    create_private_directory(folder)
    path = folder / KEYS_FILE
    if not path.exists():
        write_private_file(path, new_keys().encode())
    return read_keys(path)


def new_keys() -> str:
    """Return the content of a key file with newly generated keys."""
    return orjson.dumps({name: NatsKey.create(kind).seed for name, kind in _KINDS.items()}).decode()


def read_keys(path: Path) -> ServiceKeys:
    """Read a key file; processes that share a NATS share the keys. Raises KeysUnreadable."""
    try:
        seeds = orjson.loads(path.read_bytes())
        return ServiceKeys(
            **{field.name: NatsKey.of_seed(seeds[field.name]) for field in fields(ServiceKeys)}
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise KeysUnreadable(f"Cannot read the NATS keys in {path}: {error}") from error


def create_private_directory(folder: Path) -> None:
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def write_private_file(path: Path, content: bytes) -> None:
    """Write a file atomically, readable by its owner only."""
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
    """Return the configuration file of an embedded or separate nats-server for Quorate.

    ``listen`` is ``host:port``; ``more`` are additional configuration lines.
    """
    service, system = keys.service.public, keys.system.public
    return f"""\
# nats-server for Quorate. Agents log in with their API key as token. The service, which has the
# private keys, decides in the auth callout what each of them may subscribe to.
listen: {quote_string(listen)}
max_payload: {MESSAGE_KILOBYTES_MAX}KB
max_subscriptions: {SUBSCRIPTIONS_MAX}
# A client that does not read is disconnected, so it knows that it has to catch up. A publisher
# waits for some milliseconds when a receiver is far behind. Otherwise the server would drop the
# commands of all agents during a flood.
no_fast_producer_stall: false
write_deadline: "{WRITE_SECONDS_MAX}s"
# A replica whose machine vanished gets no more requests after a few seconds.
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
    """Quote a string for nats-server's configuration language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
