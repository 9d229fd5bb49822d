"""Operators read and set the mail domains of tenants."""

from pathlib import Path

from tests.integration.api.asgi_client import AsgiResponse, json_request
from tests.integration.api.in_process import InProcess, run_in_process

SERVICE = "agents.localhost"
ACME, OTHER = "Acme_Two", "other"


async def as_operator(
    service: InProcess, method: str, path: str, body: object = None
) -> AsgiResponse:
    return await service.ask(
        json_request(method, f"/v1/tenants{path}", body or {}, key=service.credentials["adminKey"])
    )


async def assign(service: InProcess, domain: object, tenant: str = ACME) -> AsgiResponse:
    body = {"mailDomain": domain}
    return await as_operator(service, "PUT", f"/{tenant}/mail-domain", body)


async def mail_domain(service: InProcess, tenant: str = ACME) -> object:
    found = await as_operator(service, "GET", f"/{tenant}/mail-domain")
    assert found.json["tenantId"] == tenant
    return found.json["mailDomain"]


async def create_tenants(service: InProcess) -> None:
    for tenant in (ACME, OTHER):
        await as_operator(service, "POST", "", {"tenantId": tenant})


async def test_tenant_has_its_assigned_domain_or_the_default_one(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await create_tenants(service)
        assert await mail_domain(service) == f"acme-two.{SERVICE}"
        assert await mail_domain(service, "default") == SERVICE
        assigned = await assign(service, "Agents.ACME.example")
        assert assigned.json == {"tenantId": ACME, "mailDomain": "agents.acme.example"}
        assert await mail_domain(service) == "agents.acme.example"
        taken = await assign(service, "agents.acme.example", OTHER)
        assert (taken.status, taken.json["code"]) == (409, "mail_domain_taken")
        assert taken.json["domain"] == "agents.acme.example"
        for reserved in (SERVICE, f"new.{SERVICE}"):
            assert (await assign(service, reserved)).json["code"] == "mail_domain_taken"
        for invalid in ("", "a@b.example", "127.0.0.1", "localhost", "a b.example"):
            assert (await assign(service, invalid)).json["code"] == "invalid_request"
        for unknown in ("none", "_operators"):
            assert (await assign(service, "b.example", unknown)).json["code"] == "tenant_not_found"
            found = await as_operator(service, "GET", f"/{unknown}/mail-domain")
            assert found.json["code"] == "tenant_not_found"
        released = await assign(service, None)
        assert released.json["mailDomain"] == f"acme-two.{SERVICE}"
        assert (await assign(service, "agents.acme.example", OTHER)).status == 200


async def test_assigned_domains_are_known_after_a_restart(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await create_tenants(service)
        await assign(service, "acme.example")
        await assign(service, "b.example")
    async with run_in_process(tmp_path / "data") as service:
        assert await mail_domain(service) == "b.example"
        domains = service.running.service.tenant_domains
        assert domains.domain_of(ACME) == "b.example"
        assert await domains.tenant_of("b.example") == ACME
        assert await domains.tenant_of("acme.example") is None


async def test_domain_names_its_tenant(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await create_tenants(service)
        domains = service.running.service.tenant_domains
        assert await domains.tenant_of(SERVICE) == "default"
        assert await domains.tenant_of(f"acme-two.{SERVICE}") == ACME
        for unknown in ("none", "default", "_operators", "-operators", "a.other"):
            assert await domains.tenant_of(f"{unknown}.{SERVICE}") is None
        assert await domains.tenant_of("elsewhere.example") is None
        await assign(service, "acme.example")
        assert await domains.tenant_of(f"acme-two.{SERVICE}") is None


async def test_other_keys_may_not_read_mail_domains(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        found = await service.get("/v1/tenants/default/mail-domain")
    assert found.json["code"] == "role_forbidden"
