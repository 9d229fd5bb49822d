"""A mail domain belongs to one tenant, and a tenant has one mail domain."""

import pytest

from quorate.domain.mail.domains import (
    MailDomainAssigned,
    MailDomainReleased,
    MailDomainTaken,
    SetMailDomain,
    default_domain,
)
from tests.unit.support.specification import NOON, TimedEvent, given

SERVICE = "agents.localhost"


def assign(domain: str | None, tenant: str = "acme") -> SetMailDomain:
    return SetMailDomain(tenant_id=tenant, domain=domain, service_domain=SERVICE)


def assigned(domain: str, tenant: str = "acme") -> TimedEvent:
    return TimedEvent(at=NOON, event=MailDomainAssigned(tenant_id=tenant, domain=domain))


def released(domain: str, tenant: str = "acme") -> TimedEvent:
    return TimedEvent(at=NOON, event=MailDomainReleased(tenant_id=tenant, domain=domain))


def test_free_domain_is_assigned() -> None:
    given().when(assign("acme.example")).then(assigned("acme.example"))


def test_another_domain_replaces_the_present_one() -> None:
    scenario = given(assigned("acme.example"))
    scenario.when(assign("b.example")).then(released("acme.example"), assigned("b.example"))


def test_same_domain_changes_nothing() -> None:
    given(assigned("acme.example")).when(assign("acme.example")).then_nothing()


def test_no_domain_releases_the_present_one() -> None:
    given(assigned("acme.example")).when(assign(None)).then(released("acme.example"))
    given().when(assign(None)).then_nothing()


def test_domain_of_another_tenant_is_taken() -> None:
    scenario = given(assigned("acme.example"))
    scenario.when(assign("acme.example", "b")).then_rejected(MailDomainTaken("acme.example"))


def test_released_domain_is_free() -> None:
    scenario = given(assigned("acme.example"), released("acme.example"))
    scenario.when(assign("acme.example", "b")).then(assigned("acme.example", "b"))


@pytest.mark.parametrize("domain", [SERVICE, f"b.{SERVICE}", f"a.b.{SERVICE}"])
def test_domains_of_the_service_are_taken(domain: str) -> None:
    given().when(assign(domain)).then_rejected(MailDomainTaken(domain))


def test_domain_that_only_ends_alike_is_free() -> None:
    given().when(assign(f"x{SERVICE}")).then(assigned(f"x{SERVICE}"))


@pytest.mark.parametrize(
    ("tenant", "domain"),
    [
        ("default", SERVICE),
        ("acme", f"acme.{SERVICE}"),
        ("Acme_Two", f"acme-two.{SERVICE}"),
    ],
)
def test_default_domain_follows_from_the_tenant(tenant: str, domain: str) -> None:
    assert default_domain(tenant, SERVICE) == domain
