"""Read and set the mail domain of a tenant (admin keys only)."""

from quorate.application.contact_emails import parse_mail_domain
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.contracts.mail.domains import GET_MAIL_DOMAIN, SET_MAIL_DOMAIN, MailDomainBody
from quorate.contracts.problems import Problem
from quorate.domain.identity.tenants import OPERATORS, TenantNotFound
from quorate.domain.mail.domains import MailDomain, SetMailDomain, default_domain


@handles(GET_MAIL_DOMAIN)
async def get_mail_domain(service: Service, call: Call) -> Reply:
    tenant = await _tenant(service, call)
    return Reply(
        body=_render(
            service.tenant_domains.mail_domain,
            tenant,
            await service.tenant_domains.stored.assigned_to(tenant),
        )
    )


@handles(SET_MAIL_DOMAIN)
async def set_mail_domain(service: Service, call: Call) -> Reply:
    body: MailDomainBody = call.body
    tenant = await _tenant(service, call)
    if body.tenant_id is not None and body.tenant_id != tenant:
        raise Problem("tenant_ambiguous", "The body and the path name different tenants.")
    command = SetMailDomain(
        tenant_id=tenant,
        domain=None if body.mail_domain is None else _parse(body.mail_domain),
        service_domain=service.tenant_domains.mail_domain,
    )

    own = service.tenant_domains.mail_domain

    def render(found: MailDomain | None) -> bytes:
        return _render(own, tenant, None if found is None else found.domain)

    return await service.execute(call, command, render, tenant=OPERATORS)


async def _tenant(service: Service, call: Call) -> str:
    tenant = await service.tenants.get(call.path["tenant_id"])
    if tenant is None:
        raise TenantNotFound
    return tenant.id


def _parse(domain: str) -> str:
    try:
        return parse_mail_domain(domain)
    except ValueError as error:
        raise Problem("invalid_request", f"mailDomain: {error}.") from None


def _render(own: str, tenant: str, assigned: str | None) -> bytes:
    effective = assigned or default_domain(tenant, own)
    return dump({"tenantId": tenant, "mailDomain": effective})
