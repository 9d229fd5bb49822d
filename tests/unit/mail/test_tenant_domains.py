"""Each process knows the mail domains of tenants from its log."""

from quorate.application.mail.tenant_domains import TenantDomains
from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.mail.domains import Event, MailDomainAssigned, MailDomainReleased
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import encode
from tests.unit.support.specification import NOON

SERVICE = "agents.localhost"
ASSIGNED = MailDomainAssigned(tenant_id="acme", domain="acme.example")
RELEASED = MailDomainReleased(tenant_id="acme", domain="acme.example")


class Stored:
    """What the database holds."""

    def __init__(self) -> None:
        self.domains: dict[str, str] = {}
        self.labels = {"acme": "acme"}
        self.label_queries = 0
        self.resolver = TenantDomains(SERVICE, self)
        self.arriving: Event | None = None

    async def all(self) -> dict[str, str]:
        found = dict(self.domains)
        if self.arriving is not None:
            self.resolver.record([recorded(self.arriving)])
        return found

    async def assigned_to(self, tenant: str) -> str | None:
        return {tenant: domain for domain, tenant in self.domains.items()}.get(tenant)

    async def labelled(self, label: str) -> str | None:
        self.label_queries += 1
        return self.labels.get(label)


def recorded(event: Event) -> RecordedEvent:
    return RecordedEvent(
        position=1,
        tenant=OPERATORS,
        sequence=1,
        id="event-1",
        stream="",
        type=type(event).__name__,
        version=1,
        at=NOON,
        actor="",
        command_id="",
        data=encode(event),
        hash=b"",
    )


async def test_events_change_the_domains_at_once() -> None:
    domains = Stored().resolver
    domains.record([recorded(ASSIGNED)])
    assert domains.domain_of("acme") == "acme.example"
    assert await domains.tenant_of("acme.example") == "acme"
    assert await domains.tenant_of(f"acme.{SERVICE}") is None
    domains.record([recorded(RELEASED)])
    assert domains.domain_of("acme") == f"acme.{SERVICE}"
    assert await domains.tenant_of("acme.example") is None
    assert await domains.tenant_of(f"acme.{SERVICE}") == "acme"


async def test_loading_replaces_what_was_known() -> None:
    stored = Stored()
    stored.resolver.record([recorded(ASSIGNED)])
    stored.domains = {"b.example": "b"}
    await stored.resolver.load()
    assert stored.resolver.domain_of("b") == "b.example"
    assert stored.resolver.domain_of("acme") == f"acme.{SERVICE}"


async def test_event_that_arrives_while_loading_is_kept() -> None:
    stored = Stored()
    stored.arriving = ASSIGNED
    await stored.resolver.load()
    assert stored.resolver.domain_of("acme") == "acme.example"


async def test_found_tenant_of_a_default_domain_is_not_looked_up_again() -> None:
    stored = Stored()
    for _ in range(2):
        assert await stored.resolver.tenant_of(f"acme.{SERVICE}") == "acme"
    assert stored.label_queries == 1
    for _ in range(2):
        assert await stored.resolver.tenant_of(f"none.{SERVICE}") is None
    assert stored.label_queries == 3


async def test_another_mail_domain_of_the_service_is_used() -> None:
    stored = Stored()
    domains = TenantDomains("mail.example", stored)
    assert domains.domain_of("default") == "mail.example"
    assert await domains.tenant_of("mail.example") == "default"
    assert await domains.tenant_of(SERVICE) is None
