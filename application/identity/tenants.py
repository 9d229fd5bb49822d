"""Tenants, for operators."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.requests import TenantBody
from quorate.contracts.responses import TenantAnswer, dump
from quorate.contracts.roles import OPERATING
from quorate.domain.identity.tenants import CreateTenant, Tenant
from quorate.domain.shared.timestamps import iso


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
