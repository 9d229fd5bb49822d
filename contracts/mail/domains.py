"""Read and set the mail domain of a tenant (admin keys only)."""

from typing import Annotated

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.problems import TenantAmbiguous
from quorate.contracts.roles import ADMIN_ONLY
from quorate.contracts.wire_models import Query, ResponseModel, TenantRequest
from quorate.domain.identity.tenants import TenantNotFound
from quorate.domain.mail.domains import MailDomainTaken
from quorate.domain.shared.email_addresses import DOMAIN_LENGTH_MAX

MAIL_DOMAIN = "/v1/tenants/{tenant_id}/mail-domain"


class MailDomainBody(TenantRequest):
    """The mail domain of the tenant; null stands for its default domain."""

    mail_domain: (
        Annotated[
            str, Field(min_length=1, max_length=DOMAIN_LENGTH_MAX, examples=["agents.example.com"])
        ]
        | None
    )


class MailDomainInfo(ResponseModel):
    tenant_id: str
    mail_domain: str = Field(description="The assigned domain, otherwise the default one.")


GET_MAIL_DOMAIN = Operation(
    method="GET",
    path=MAIL_DOMAIN,
    name="getMailDomain",
    summary="Get the mail domain of a tenant",
    roles=ADMIN_ONLY,
    query=Query,
    response=MailDomainInfo,
    errors=(TenantNotFound,),
)
SET_MAIL_DOMAIN = Operation(
    method="PUT",
    path=MAIL_DOMAIN,
    name="setMailDomain",
    summary="Set the mail domain of a tenant",
    description="A domain belongs to one tenant. The log of the operators records it.",
    roles=ADMIN_ONLY,
    body=MailDomainBody,
    response=MailDomainInfo,
    errors=(TenantAmbiguous, TenantNotFound, MailDomainTaken),
    command=True,
)
OPERATIONS = (GET_MAIL_DOMAIN, SET_MAIL_DOMAIN)
