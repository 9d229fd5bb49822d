"""The mail domain of each tenant, in the memory of each process.

* Assigned domains are loaded at the start and again every RELOAD_SECONDS. The events of the log,
  also those of other processes, take effect as soon as this process learns of the commit.
* Default domains follow from the id of the tenant. Ids that differ only in case, or in ``_`` and
  ``-``, have the same one: mail from outside goes to the tenant that was created first. An operator
  should assign domains to such tenants.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.mail.domains import (
    DEFAULT_TENANT,
    MailDomainAssigned,
    MailDomainReleased,
    default_domain,
)
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import decode
from quorate.eventlog.transactions import DatabaseUnavailable

RELOAD_SECONDS = 10.0
CACHED_LABELS_MAX = 4_096
_TYPES = frozenset(one.__name__ for one in (MailDomainAssigned, MailDomainReleased))


class StoredDomains(Protocol):
    """What the database knows."""

    async def all(self) -> Mapping[str, str]:
        """Return the tenant of every assigned domain."""
        ...

    async def assigned_to(self, tenant: str) -> str | None:
        """Return the domain that is assigned to a tenant."""
        ...

    async def labelled(self, label: str) -> str | None:
        """Return the first tenant that was created with this label in its default domain."""
        ...


class TenantDomains:
    def __init__(
        self,
        mail_domain: str,
        stored: StoredDomains,
    ) -> None:
        """``mail_domain`` is that of the service."""
        self.mail_domain = mail_domain
        self.stored = stored
        self._tenants: dict[str, str] = {}  # By assigned domain.
        self._domains: dict[str, str] = {}  # By tenant.
        self._labels: dict[str, str] = {}  # Tenants by label; a tenant is never removed.
        self._changes = 0

    def domain_of(self, tenant: str) -> str:
        """Return the mail domain of a tenant."""
        return self._domains.get(tenant) or default_domain(tenant, self.mail_domain)

    async def stored_domain_of(self, tenant: str) -> str:
        """Return the mail domain of a tenant as the database has it, or had it."""
        assigned = await self.stored.assigned_to(tenant)
        return assigned or default_domain(tenant, self.mail_domain)

    async def tenant_of(self, domain: str) -> str | None:
        """Return the tenant with this mail domain, which is in lower case."""
        if (assigned := self._tenants.get(domain)) is not None:
            return assigned
        tenant: str | None = DEFAULT_TENANT
        if domain != self.mail_domain:
            label, _, parent = domain.partition(".")
            tenant = await self._labelled(label) if parent == self.mail_domain else None
        if tenant is None or tenant == OPERATORS:
            return None
        return tenant if self.domain_of(tenant) == domain else None

    async def _labelled(self, label: str) -> str | None:
        known = self._labels.get(label)
        if known is None and (known := await self.stored.labelled(label)) is not None:
            if len(self._labels) >= CACHED_LABELS_MAX:
                self._labels.clear()
            self._labels[label] = known
        return known

    def record(self, rows: Sequence[RecordedEvent]) -> None:
        """Apply committed events."""
        for row in rows:
            if row.type not in _TYPES:
                continue
            self._changes += 1
            match decode(row.type, row.version, row.data):
                case MailDomainAssigned() as event:
                    self._tenants[event.domain] = event.tenant_id
                    self._domains[event.tenant_id] = event.domain
                case MailDomainReleased() as event:
                    self._tenants.pop(event.domain, None)
                    self._domains.pop(event.tenant_id, None)

    async def load(self) -> None:
        """Replace everything by what is stored, unless events arrived meanwhile."""
        changes = self._changes
        found = await self.stored.all()
        if changes == self._changes:
            self._tenants = dict(found)
            self._domains = {tenant: domain for domain, tenant in found.items()}

    async def keep_fresh(self) -> NoReturn:
        """Load again and again until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            with suppress(DatabaseUnavailable):
                await self.load()
