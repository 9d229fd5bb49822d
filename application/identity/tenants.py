"""Create tenants (admin keys only)."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.requests import TenantBody
from quorate.contracts.responses import TenantResponse, dump
from quorate.contracts.roles import ADMIN_ONLY
from quorate.domain.identity.tenants import CreateTenant, Tenant
from quorate.domain.shared.timestamps import iso


async def create(service: Service, call: Call) -> Reply:
    tenant_id = call.body.tenant_id
    command = CreateTenant(tenant_id=tenant_id)
    return await service.execute(call, command, _render, tenant=tenant_id)


def _render(tenant: Tenant) -> bytes:
    return dump(TenantResponse(tenantId=tenant.id, createdAt=iso(tenant.created_at)))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/tenants",
        name="createTenant",
        summary="Create a tenant",
        roles=ADMIN_ONLY,
        body=TenantBody,
        response=TenantResponse,
        problems=("tenant_exists",),
        command=True,
        handler=create,
    ),
)
