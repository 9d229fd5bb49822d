"""Create tenants (admin keys only)."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from quorate.contracts.operations import Operation
from quorate.contracts.roles import ADMIN_ONLY
from quorate.contracts.wire_models import ResponseModel, TenantId, Time
from quorate.domain.identity.tenants import TenantExists


class TenantBody(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
    )
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
