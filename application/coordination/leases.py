"""Acquire, renew, release and list leases on contacts."""

import orjson

from quorate.application.contact_emails import parse_contact_email
from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import constant, dump, renderer
from quorate.contracts.coordination.leases import (
    ACQUIRE_LEASE,
    END_LEASE,
    GET_LEASE,
    LIST_LEASES,
    RELEASE_LEASE,
    RENEW_LEASE,
    LeaseBody,
    LeaseInfo,
    LeasesQuery,
    Released,
)
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import (
    EndLease,
    Lease,
    LeaseNotFound,
    ReleaseLease,
)

render_lease = renderer(LeaseInfo, Lease, contenders=lambda lease: lease.contenders or None)
_RELEASED = constant(Released)


def _lease_id(response: bytes) -> str:
    """Return the id of the lease that a stored response grants."""
    return str(orjson.loads(response)["id"])


@handles(ACQUIRE_LEASE)
async def acquire(service: Service, call: Call) -> Reply:
    body: LeaseBody = call.body
    tenant = call.principal.tenant
    command = AcquireLease(
        caller=call.principal,
        agent=ref(body),
        contact=parse_contact_email(body.contact_email),
        intent=body.intent,
        duration_minutes=body.duration_minutes,
        new_lease_id=service.id(),
        holder=body.holder,
    )

    def render(lease: Lease) -> bytes:
        return dump(render_lease(lease, tenant_id=tenant))

    return await service.execute(call, command, render, grant_in=_lease_id)


@handles(RENEW_LEASE)
async def renew(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    command = RenewLease(
        caller=call.principal,
        lease_id=call.path["lease_id"],
        duration_minutes=call.body.duration_minutes,
        holder=call.body.holder,
    )

    def render(lease: Lease) -> bytes:
        return dump(render_lease(lease, tenant_id=tenant))

    return await service.execute(call, command, render, grant_in=_lease_id)


@handles(RELEASE_LEASE)
async def release(service: Service, call: Call) -> Reply:
    command = ReleaseLease(caller=call.principal, lease_id=call.path["lease_id"])
    return await service.execute(call, command, lambda _: _RELEASED)


@handles(END_LEASE)
async def end(service: Service, call: Call) -> Reply:
    tenant = tenant_of(call)
    command = EndLease(lease_id=call.path["lease_id"], detail=call.body.reason)

    def render(lease: Lease) -> bytes:
        return dump(render_lease(lease, tenant_id=tenant))

    return await service.execute(call, command, render, tenant)


@handles(GET_LEASE)
async def get_lease(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.lease(tenant, call.path["lease_id"])
    if result.found is None:
        raise LeaseNotFound
    return Reply(body=dump(render_lease(result.found, tenant_id=tenant)), sequence=result.sequence)


@handles(LIST_LEASES)
async def list_leases(service: Service, call: Call) -> Reply:
    query: LeasesQuery = call.query
    tenant = call.principal.tenant
    key = parse_contact_email(query.contact_email).key if query.contact_email else None
    return await list_reply(
        service,
        call,
        LIST_LEASES.path,
        lambda after, limit, size: service.reader.live_leases(
            tenant, after, limit, query.agent_id, key, size
        ),
        render=lambda lease, _: render_lease(lease, tenant_id=tenant),
        cursor=lambda lease: lease.id,
    )
