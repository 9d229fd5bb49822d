"""Tenants, for operators."""

from quorate.api.answers import TenantAnswer, dump
from quorate.api.endpoint import Call, Endpoint, Reply
from quorate.api.roles import OPERATING
from quorate.api.schemas import TenantBody
from quorate.api.service import Service
from quorate.domain.instants import iso
from quorate.domain.tenants import CreateTenant, Tenant


async def create(service: Service, call: Call) -> Reply:
    tenant_id = call.body.tenant_id
    command = CreateTenant(tenant_id=tenant_id)
    return await service.carry_out(call, command, _render, tenant=tenant_id)


def _render(tenant: Tenant) -> bytes:
    return dump(TenantAnswer(tenantId=tenant.id, createdAt=iso(tenant.created_at)))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/tenants",
        name="createTenant",
        summary="Create a tenant",
        roles=OPERATING,
        body=TenantBody,
        answer=TenantAnswer,
        problems=("tenant_exists",),
        command=True,
        handler=create,
    ),
)
