"""First start: create a tenant, its key and the admin key, and store them for the owner only.

* Every change is a command on the command bus. A user who may write to the data directory controls
  the service anyway, so new keys are issued when ``credentials.json`` is missing.
* Keys that were created elsewhere (``quorate secrets``) are recorded instead; no file is written.
* Several processes may start at the same time with one directory or one database. One of them
  creates the credentials of a directory, and a tenant or a given key is recorded once.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from quorate.application.execution import Service
from quorate.application.identity.api_keys import new_key
from quorate.domain.identity.api_keys import IssueKey
from quorate.domain.identity.key_format import read_key, secret_hash
from quorate.domain.identity.principals import SYSTEM_ACTOR, Principal, Role
from quorate.domain.identity.tenants import OPERATORS, CreateTenant, TenantExists
from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import CommandEnvelope, Idempotency, Rejected
from quorate.server.file_permissions import warn_of_exposed_files
from quorate.server.options import Options

DEFAULT_TENANT = "default"
CREDENTIALS = "credentials.json"
CREDENTIALS_LOCK = "credentials.lock"
KEY_FILE_LENGTH_MAX = 4_096
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
_MALFORMED = "the file is malformed; remove it, and `quorate serve` issues new keys"


class Credentials(TypedDict):
    url: str
    natsUrl: str
    tenantId: str
    apiKey: str
    adminKey: str


def create_data_dir(data_dir: Path) -> None:
    """Create the data directory, accessible to its owner only."""
    data_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


async def ensure_credentials(
    service: Service, data_dir: Path, *, url: str, nats_url: str
) -> Credentials:
    """Return the credentials with current addresses; issue the keys on the first start."""
    path = data_dir / CREDENTIALS
    async with _credentials_lock(data_dir):
        known = _read_credentials(path)
        if known is not None:
            await _require_known_keys(service, path, known)
        api_key = known["apiKey"] if known else await _issue_key(service, DEFAULT_TENANT, "tenant")
        admin_key = known["adminKey"] if known else await _issue_key(service, OPERATORS, "admin")
        found: Credentials = {
            "url": url,
            "natsUrl": nats_url,
            "tenantId": DEFAULT_TENANT,
            "apiKey": api_key,
            "adminKey": admin_key,
        }
        if found != known:
            _write_credentials(path, found)
    return found


async def provide_keys(service: Service, options: Options, *, url: str, nats_url: str) -> None:
    """Record the keys from the key files; without any, issue keys and write the credentials.

    Also warns of files that every user of the machine can access.
    """
    warn_of_exposed_files(options)
    key_files: Sequence[tuple[Path | None, Role]] = (
        (options.admin_key_file, "admin"),
        (options.api_key_file, "tenant"),
    )
    for path, role in key_files:
        if path is not None:
            await record_key(service, path, role)
    if all(path is None for path, _ in key_files):
        await ensure_credentials(service, options.data_dir, url=url, nats_url=nats_url)


@asynccontextmanager
async def _credentials_lock(data_dir: Path) -> AsyncIterator[None]:
    """Lock the credentials of the directory; other workers wait until they are written."""
    descriptor = os.open(data_dir / CREDENTIALS_LOCK, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# -- Keys created elsewhere ------------------------------------------------------


@dataclass(eq=False)
class InvalidKeyFile(Exception):
    """A key file contains no key, or a key whose id is used for another key."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


async def record_key(service: Service, path: Path, role: Role) -> None:
    """Record the key in a file, unless it is recorded already; a revoked key stays revoked."""
    key_id, secret = _read_key_file(path)
    tenant = OPERATORS if role == "admin" else DEFAULT_TENANT
    fingerprint = secret_hash(secret)
    known = await service.reader.key(key_id)
    if known is None:
        await _ensure_tenant(service, tenant)
        once = Idempotency(
            caller=SYSTEM_ACTOR,
            command=IssueKey.__name__,
            key=f"given-{key_id}",
            fingerprint=bytes.fromhex(fingerprint),
        )
        await _submit(service, tenant, _issue_command(key_id, role, fingerprint), once)
    elif (known.tenant, known.key.role, known.key.secret_hash) != (tenant, role, fingerprint):
        raise InvalidKeyFile(
            path, f"the id of this key already belongs to another {known.key.role} key"
        )


def _read_key_file(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text("utf-8")[:KEY_FILE_LENGTH_MAX].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidKeyFile(path, f"the file cannot be read: {error}") from error
    parts = read_key(text)
    if parts is None:
        raise InvalidKeyFile(
            path, "the file contains no Quorate key; create one with `quorate secrets`"
        )
    return parts


# -- Issuing -----------------------------------------------------------------------


async def _issue_key(service: Service, tenant: str, role: Role) -> str:
    await _ensure_tenant(service, tenant)
    issued = new_key()
    await _submit(service, tenant, _issue_command(issued.id, role, issued.secret_hash))
    return issued.full_key


def _issue_command(key_id: str, role: Role, fingerprint: str) -> IssueKey:
    return IssueKey(
        caller=Principal(key_id=SYSTEM_ACTOR, role="admin", tenant=OPERATORS),
        key_id=key_id,
        role=role,
        secret_hash=fingerprint,
        new_agent_id="",
    )


async def _ensure_tenant(service: Service, tenant: str) -> None:
    if not await service.reader.has_tenant(tenant):
        await _submit(
            service, tenant, CreateTenant(tenant_id=tenant), accepted_code=TenantExists.code
        )


async def _submit(
    service: Service,
    tenant: str,
    command: Command,
    idempotency: Idempotency | None = None,
    *,
    accepted_code: str | None = None,
) -> None:
    """Submit a command; the rejection ``accepted_code`` is fine: another process was first."""
    envelope = CommandEnvelope(
        tenant=tenant,
        actor=SYSTEM_ACTOR,
        command_id=service.id(),
        command=command,
        render=lambda _: b"",
        idempotency=idempotency,
    )
    result = await service.command_bus.submit(envelope)
    was_rejected = isinstance(result, Rejected) and result.code != accepted_code
    assert not was_rejected, f"the first start was rejected: {result}"


def _read_credentials(path: Path) -> Credentials | None:
    try:
        found: Credentials = json.loads(path.read_text("utf-8"))
        _ = found["apiKey"], found["adminKey"]
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise InvalidKeyFile(path, _MALFORMED) from error
    return found


async def _require_known_keys(service: Service, path: Path, known: Credentials) -> None:
    """Raise InvalidKeyFile if the database does not know the keys: it is another one, or new.

    Revoked keys are known. An empty database beside old credentials means that data was lost.
    """
    for key in (known["apiKey"], known["adminKey"]):
        parts = read_key(key)
        if parts is None:
            raise InvalidKeyFile(path, _MALFORMED)
        if await service.reader.key(parts[0]) is None:
            is_empty = await service.log.committed_head() == 0
            state = "is empty" if is_empty else "does not contain its keys"
            raise InvalidKeyFile(
                path,
                f"the database {state}: restore a backup with `quorate restore`, or name the right"
                f" database with --database-url; to start with new keys, remove {path.name}",
            )


def _write_credentials(path: Path, found: Credentials) -> None:
    """Write the file atomically, and never readable by other users."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(found, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
