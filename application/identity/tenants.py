"""Create tenants (admin keys only)."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump, renderer
from quorate.contracts.identity.tenants import CREATE_TENANT, TenantInfo
from quorate.domain.identity.tenants import CreateTenant, Tenant

render_tenant = renderer(TenantInfo, Tenant)


@handles(CREATE_TENANT)
async def create(service: Service, call: Call) -> Reply:
    tenant_id = call.body.tenant_id
    command = CreateTenant(tenant_id=tenant_id)
    return await service.execute(
        call, command, lambda tenant: dump(render_tenant(tenant)), tenant=tenant_id
    )
