"""The first start: a tenant, its key and the operator's, written where only the owner can read.

* Everything goes through the door like any other command. Whoever may write to the data folder may
  do anything to the service anyway; so when ``credentials.json`` is gone, new keys are issued.
* Keys that were made elsewhere (``quorate secrets``) are recorded instead, and nothing is written.
* Several may start at the same moment, on one folder or on one database: a folder's credentials
  are made by one of them, a tenant is created once, and a given key is recorded once.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from quorate.application.execution import Service
from quorate.application.identity.api_keys import new_key
from quorate.domain.commands import Command
from quorate.domain.identity.api_keys import (
    SYSTEM_ACTOR,
    IssueKey,
    Principal,
    Role,
    read_key,
    secret_hash,
)
from quorate.domain.identity.tenants import OPERATORS, CreateTenant, TenantExists
from quorate.eventlog.envelopes import CommandEnvelope, Idempotency, Rejected

DEFAULT_TENANT = "default"
CREDENTIALS = "credentials.json"
CREDENTIALS_LOCK = "credentials.lock"
KEY_FILE_LENGTH_MAX = 4_096
FOLDER_MODE = 0o700
FILE_MODE = 0o600


class Credentials(TypedDict):
    url: str
    natsUrl: str
    tenantId: str
    apiKey: str
    adminKey: str


def make_folder(data_dir: Path) -> None:
    """Create the data folder, for its owner alone."""
    data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


async def credentials(service: Service, data_dir: Path, *, url: str, nats_url: str) -> Credentials:
    """The credentials of the default tenant, issued on the first start, with today's addresses."""
    path = data_dir / CREDENTIALS
    async with _alone(data_dir):
        known = _read(path)
        api_key = known["apiKey"] if known else await _issued(service, DEFAULT_TENANT, "tenant")
        admin_key = known["adminKey"] if known else await _issued(service, OPERATORS, "admin")
        found: Credentials = {
            "url": url,
            "natsUrl": nats_url,
            "tenantId": DEFAULT_TENANT,
            "apiKey": api_key,
            "adminKey": admin_key,
        }
        if found != known:
            _write(path, found)
    return found


@asynccontextmanager
async def _alone(data_dir: Path) -> AsyncIterator[None]:
    """Workers share a folder; the others wait for the one that makes its credentials."""
    descriptor = os.open(data_dir / CREDENTIALS_LOCK, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# -- Keys that were made elsewhere -----------------------------------------------


@dataclass(eq=False)
class KeyUnusable(Exception):
    """A key file that was named holds no key, or one that stands for something else."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


async def record_key(service: Service, path: Path, role: Role) -> None:
    """Record the key that stands in a file, unless it was before; a revoked one stays revoked."""
    key_id, secret = _given(path)
    tenant = OPERATORS if role == "admin" else DEFAULT_TENANT
    fingerprint = secret_hash(secret)
    known = await service.reader.key(key_id)
    if known is None:
        await _create(service, tenant)
        once = Idempotency(
            caller=SYSTEM_ACTOR,
            command=IssueKey.__name__,
            key=f"given-{key_id}",
            fingerprint=bytes.fromhex(fingerprint),
        )
        await _order(service, tenant, _issue(key_id, role, fingerprint), once)
    elif (known.tenant, known.key.role, known.key.secret_hash) != (tenant, role, fingerprint):
        raise KeyUnusable(
            path, f"the id of this key is already that of another {known.key.role} key"
        )


def _given(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text("utf-8")[:KEY_FILE_LENGTH_MAX].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(path, f"it cannot be read: {error}") from error
    parts = read_key(text)
    if parts is None:
        raise KeyUnusable(path, "it holds no key of Quorate; `quorate secrets` makes one")
    return parts


# -- Issuing -----------------------------------------------------------------------


async def _issued(service: Service, tenant: str, role: Role) -> str:
    await _create(service, tenant)
    fresh = new_key()
    await _order(service, tenant, _issue(fresh.id, role, fresh.secret_hash))
    return fresh.text


def _issue(key_id: str, role: Role, fingerprint: str) -> IssueKey:
    return IssueKey(
        caller=Principal(key_id=SYSTEM_ACTOR, role="admin", tenant=OPERATORS),
        key_id=key_id,
        role=role,
        secret_hash=fingerprint,
        new_agent_id="",
    )


async def _create(service: Service, tenant: str) -> None:
    if not await service.reader.has_tenant(tenant):
        await _order(service, tenant, CreateTenant(tenant_id=tenant), but=TenantExists.code)


async def _order(
    service: Service,
    tenant: str,
    command: Command,
    idempotency: Idempotency | None = None,
    *,
    but: str | None = None,
) -> None:
    """Have it carried out; ``but`` is a refusal that is fine, because another was first."""
    order = CommandEnvelope(
        tenant=tenant,
        actor=SYSTEM_ACTOR,
        command_id=service.id(),
        command=command,
        render=lambda _: b"",
        idempotency=idempotency,
    )
    answer = await service.door.submit(order)
    refused = isinstance(answer, Rejected) and answer.code != but
    assert not refused, f"the first start was refused: {answer}"


def _read(path: Path) -> Credentials | None:
    try:
        found: Credentials = json.loads(path.read_text("utf-8"))
        _ = found["apiKey"], found["adminKey"]
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise KeyUnusable(
            path, "it is not what `quorate serve` wrote; remove it, and new keys are made"
        ) from error
    return found


def _write(path: Path, found: Credentials) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(found, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
