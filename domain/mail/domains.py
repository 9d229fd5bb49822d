"""Mail domains that operators assign to tenants; the events are in the log of the operators.

* A tenant has one mail domain. Without an assigned one it has its default: the mail domain of the
  service for the tenant ``default``, and a domain below it for every other tenant.
* A domain belongs to one tenant. The mail domain of the service, and every domain below it, is
  never assigned, because it is the default of a tenant that exists or will exist.
* Assigning the same domain again succeeds and records nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, assert_never, get_args

from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.errors import Conflict
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

DEFAULT_TENANT = "default"

# -- Events ------------------------------------------------------------------


@record
class MailDomainAssigned:
    tenant_id: str
    domain: str


@record
class MailDomainReleased:
    tenant_id: str
    domain: str


Event: TypeAlias = MailDomainAssigned | MailDomainReleased


# -- State -------------------------------------------------------------------


@record
class MailDomain:
    domain: str
    tenant_id: str | None  # None once it is released.


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class MailDomainTaken(Conflict):
    """The domain belongs to another tenant, or is the service's own or below it."""

    code, title = "mail_domain_taken", "The mail domain is taken"
    domain: str


# -- Commands ----------------------------------------------------------------


@record
class SetMailDomain:
    """Assign a domain to a tenant that exists, in place of its present one; None assigns none."""

    tenant_id: str
    domain: str | None  # In the form in which domains are compared.
    service_domain: str

    def reads(self) -> Reads:
        domain = MAIL_DOMAINS.by("id", self.domain) if self.domain is not None else ()
        return (*MAIL_DOMAINS.by("tenant", self.tenant_id), *domain)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        before = state[MAIL_DOMAINS].find("tenant", self.tenant_id)
        events: list[Event] = []
        if before is not None and before.domain != self.domain:
            events.append(MailDomainReleased(tenant_id=self.tenant_id, domain=before.domain))
        if self.domain is None or (before is not None and before.domain == self.domain):
            return events
        found = state[MAIL_DOMAINS].get(self.domain)
        is_taken = found is not None and found.tenant_id is not None
        if is_taken or is_at_or_below(self.domain, self.service_domain):
            raise MailDomainTaken(self.domain)
        return [*events, MailDomainAssigned(tenant_id=self.tenant_id, domain=self.domain)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> MailDomain | None:
        """Return the domain that is assigned to the tenant."""
        return state[MAIL_DOMAINS].find("tenant", self.tenant_id)


def is_at_or_below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def default_label(tenant: str) -> str:
    """Return what stands before the service's mail domain in the default domain of a tenant."""
    return tenant.lower().replace("_", "-")


def default_domain(tenant: str, service_domain: str) -> str:
    """Return the mail domain of a tenant to which none is assigned."""
    if tenant == DEFAULT_TENANT:
        return service_domain
    return f"{default_label(tenant)}.{service_domain}"


# -- Evolve ------------------------------------------------------------------


def evolve(state: MailDomain | None, event: Event, _at: Timestamp) -> MailDomain:
    match event:
        case MailDomainAssigned():
            return MailDomain(domain=event.domain, tenant_id=event.tenant_id)
        case MailDomainReleased():
            assert state is not None
            return changed(state, tenant_id=None)
        case _:
            assert_never(event)


MAIL_DOMAINS: Aggregate[MailDomain] = Aggregate(
    name="mail_domain",
    events=get_args(Event),
    stream=lambda event: f"mail-domain-{event.domain}",
    commands=(SetMailDomain,),
    id_of=attrgetter("domain"),
    evolve=evolve,
    indexes={"tenant": attrgetter("tenant_id")},
)
