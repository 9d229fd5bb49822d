"""Create tenants (admin keys only)."""

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import ADMIN_ONLY
from quorate.contracts.wire_models import ResponseModel, TenantId, TenantRequest, Time
from quorate.domain.identity.tenants import TenantExists


class TenantBody(TenantRequest):
    tenant_id: TenantId


class TenantInfo(ResponseModel):
    id: str = Field(alias="tenantId")
    created_at: Time


CREATE_TENANT = Operation(
    method="POST",
    path="/v1/tenants",
    name="createTenant",
    summary="Create a tenant",
    roles=ADMIN_ONLY,
    body=TenantBody,
    response=TenantInfo,
    errors=(TenantExists,),
    command=True,
)
OPERATIONS = (CREATE_TENANT,)
