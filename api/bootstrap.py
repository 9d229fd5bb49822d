"""The first start: a tenant, its key and the operator's, written where only the owner can read.

Everything goes through the door like any other command. Whoever may write to the data folder may
do anything to the service anyway; so when ``credentials.json`` is gone, new keys are issued.
"""

import json
import os
from pathlib import Path
from typing import TypedDict

from quorate.api.keys import new_key
from quorate.api.service import Service
from quorate.domain.commands import Command
from quorate.domain.keys import SYSTEM_ACTOR, IssueKey, Principal, Role
from quorate.domain.tenants import OPERATORS, CreateTenant
from quorate.eventlog.order import Declined, Order

DEFAULT_TENANT = "default"
CREDENTIALS = "credentials.json"
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
    known = _read(path)
    found: Credentials = {
        "url": url,
        "natsUrl": nats_url,
        "tenantId": DEFAULT_TENANT,
        "apiKey": known["apiKey"] if known else await _issued(service, DEFAULT_TENANT, "tenant"),
        "adminKey": known["adminKey"] if known else await _issued(service, OPERATORS, "admin"),
    }
    if found != known:
        _write(path, found)
    return found


async def _issued(service: Service, tenant: str, role: Role) -> str:
    if not await service.reader.has_tenant(tenant):
        await _order(service, tenant, CreateTenant(tenant_id=tenant))
    fresh = new_key()
    command = IssueKey(
        caller=Principal(key_id=SYSTEM_ACTOR, role="admin", tenant=OPERATORS),
        key_id=fresh.id,
        role=role,
        secret_hash=fresh.secret_hash,
        new_agent_id="",
    )
    await _order(service, tenant, command)
    return fresh.text


async def _order(service: Service, tenant: str, command: Command) -> None:
    order = Order(
        tenant=tenant,
        actor=SYSTEM_ACTOR,
        command_id=service.id(),
        command=command,
        render=lambda _: b"",
    )
    answer = await service.door.submit(order)
    assert not isinstance(answer, Declined), f"the first start was refused: {answer.code}"


def _read(path: Path) -> Credentials | None:
    try:
        found: Credentials = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
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
