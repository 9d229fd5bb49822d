"""Acquire, renew, release and list leases on contacts."""

from typing import Any

from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import (
    LeaseBody,
    LeasesQuery,
    Query,
    RenewBody,
    parse_contact_email,
)
from quorate.contracts.responses import LeaseResponse, ReleaseResponse, dump, lease_response
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.domain.coordination.leases import AcquireLease, Lease, ReleaseLease, RenewLease

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
_RELEASED = dump(ReleaseResponse(released=True))


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
    )

    def render(lease: Lease) -> bytes:
        return dump(lease_response(tenant, lease))

    return await service.execute(call, command, render)


async def renew(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    command = RenewLease(
        caller=call.principal,
        lease_id=call.path["lease_id"],
        duration_minutes=call.body.duration_minutes,
    )

    def render(lease: Lease) -> bytes:
        return dump(lease_response(tenant, lease))

    return await service.execute(call, command, render)


async def release(service: Service, call: Call) -> Reply:
    command = ReleaseLease(caller=call.principal, lease_id=call.path["lease_id"])
    return await service.execute(call, command, _render_release)


def _render_release(_: Any) -> bytes:  # noqa: ANN401 - the outcomes of a release differ in type.
    return _RELEASED


async def get_lease(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.lease(tenant, call.path["lease_id"])
    if result.found is None:
        raise Problem("lease_not_found", "Lease not found.")
    return Reply(body=dump(lease_response(tenant, result.found)), sequence=result.sequence)


async def list_leases(service: Service, call: Call) -> Reply:
    query: LeasesQuery = call.query
    tenant = call.principal.tenant
    key = parse_contact_email(query.contact_email).key if query.contact_email else None
    result = await service.reader.live_leases(
        tenant, query.after or "", query.limit, query.agent_id, key
    )
    response = [lease_response(tenant, lease) for lease in result.found]
    links = next_link(LEASES, query, [lease.id for lease in result.found])
    return Reply(body=dump(response), sequence=result.sequence, headers=links)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=LEASE,
        name="acquireLease",
        summary="Acquire a lease on a contact",
        description="If the agent already holds the contact, the request renews its lease.",
        roles=CAN_ACT,
        body=LeaseBody,
        query=Query,
        response=LeaseResponse,
        problems=(
            "quota_exceeded",
            "agent_not_found",
            "agent_inactive",
            "acting_as_another",
            "lease_conflict",
            "contact_email_invalid",
        ),
        command=True,
        handler=acquire,
    ),
    Endpoint(
        method="DELETE",
        path=LEASE + "/{lease_id}",
        name="releaseLease",
        summary="Release a lease",
        description="A second release of the same lease succeeds and has no effect.",
        roles=CAN_ACT,
        query=Query,
        response=ReleaseResponse,
        problems=("lease_not_found", "acting_as_another"),
        command=True,
        urgent=True,
        handler=release,
    ),
    Endpoint(
        method="POST",
        path=LEASE + "/{lease_id}/renew",
        name="renewLease",
        summary="Renew a lease",
        description="A renewal extends a lease and never shortens it.",
        roles=CAN_ACT,
        body=RenewBody,
        query=Query,
        response=LeaseResponse,
        problems=("lease_not_found", "lease_ended", "acting_as_another"),
        command=True,
        urgent=True,
        handler=renew,
    ),
    Endpoint(
        method="GET",
        path=LEASE + "/{lease_id}",
        name="getLease",
        summary="Get a lease",
        description="Ended leases remain readable.",
        roles=CAN_READ,
        query=Query,
        response=LeaseResponse,
        problems=("lease_not_found",),
        handler=get_lease,
    ),
    Endpoint(
        method="GET",
        path=LEASES,
        name="listLeases",
        summary="List active leases",
        roles=CAN_READ,
        query=LeasesQuery,
        response=list[LeaseResponse],
        problems=("contact_email_invalid",),
        handler=list_leases,
    ),
)
