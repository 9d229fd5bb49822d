"""Create, list, suspend, pause and limit tenants: for admin keys.

A tenant key may read, pause and unpause its own tenant.
"""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import Json, dump, renderer
from quorate.contracts.identity.tenants import (
    CREATE_TENANT,
    GET_TENANT,
    LIST_TENANTS,
    PAUSE_TENANT,
    RESUME_TENANT,
    SET_TENANT_LIMITS,
    SUSPEND_TENANT,
    UNPAUSE_TENANT,
    TenantInfo,
    TenantLimitsBody,
    TenantLimitsInfo,
)
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import (
    LIMITS,
    CreateTenant,
    PauseTenant,
    ResumeTenant,
    SetTenantLimits,
    SuspendTenant,
    Tenant,
    TenantLimits,
    TenantNotFound,
    UnpauseTenant,
)
from quorate.domain.shared.state import Command

_render_limits = renderer(TenantLimitsInfo, TenantLimits)


def _limits(tenant: Tenant) -> Json:
    return _render_limits(tenant.limits)


render_tenant = renderer(TenantInfo, Tenant, status=lambda tenant: tenant.status, limits=_limits)


@handles(CREATE_TENANT)
async def create(service: Service, call: Call) -> Reply:
    tenant_id = call.body.tenant_id
    return await _execute(service, call, CreateTenant(tenant_id=tenant_id), tenant_id)


@handles(SUSPEND_TENANT)
async def suspend(service: Service, call: Call) -> Reply:
    tenant_id = call.path["tenant_id"]
    command = SuspendTenant(tenant_id=tenant_id, detail=call.query.reason)
    return await _execute(service, call, command, tenant_id)


@handles(RESUME_TENANT)
async def resume(service: Service, call: Call) -> Reply:
    tenant_id = call.path["tenant_id"]
    command = ResumeTenant(tenant_id=tenant_id, detail=call.query.reason)
    return await _execute(service, call, command, tenant_id)


@handles(PAUSE_TENANT)
async def pause(service: Service, call: Call) -> Reply:
    tenant_id = _permitted_tenant(call)
    command = PauseTenant(tenant_id=tenant_id, detail=call.body.reason)
    return await _execute(service, call, command, tenant_id)


@handles(UNPAUSE_TENANT)
async def unpause(service: Service, call: Call) -> Reply:
    tenant_id = _permitted_tenant(call)
    command = UnpauseTenant(tenant_id=tenant_id, detail=call.body.reason)
    return await _execute(service, call, command, tenant_id)


def _permitted_tenant(call: Call) -> str:
    """Return the tenant of the path, unless the key or the body is of another one.

    Raises TenantNotFound and Problem. Other tenants do not exist for a tenant key.
    """
    principal: Principal = call.principal
    tenant_id = call.path["tenant_id"]
    if call.body is not None and call.body.tenant_id not in {None, tenant_id}:
        raise Problem("tenant_ambiguous", "The body and the path name different tenants.")
    if principal.role != "admin" and tenant_id != principal.tenant:
        raise TenantNotFound
    return tenant_id


@handles(SET_TENANT_LIMITS)
async def set_limits(service: Service, call: Call) -> Reply:
    body: TenantLimitsBody = call.body
    tenant_id = _permitted_tenant(call)
    limits = TenantLimits(**{name: getattr(body, name) for name in LIMITS})
    command = SetTenantLimits(tenant_id=tenant_id, limits=limits)
    return await _execute(service, call, command, tenant_id)


async def _execute(service: Service, call: Call, command: Command, tenant_id: str) -> Reply:
    return await service.execute(
        call, command, lambda tenant: dump(render_tenant(tenant)), tenant=tenant_id
    )


@handles(GET_TENANT)
async def get_tenant(service: Service, call: Call) -> Reply:
    tenant = await service.tenants.get(_permitted_tenant(call))
    if tenant is None:
        raise TenantNotFound
    return Reply(body=dump(render_tenant(tenant)))


@handles(LIST_TENANTS)
async def list_tenants(service: Service, call: Call) -> Reply:
    return await list_reply(
        service,
        call,
        LIST_TENANTS.path,
        service.tenants.page,
        render=lambda tenant, _: render_tenant(tenant),
        cursor=lambda tenant: tenant.id,
    )
