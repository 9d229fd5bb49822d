"""Leases on contacts."""

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
    read_contact_or_refuse,
)
from quorate.contracts.responses import LeaseAnswer, ReleaseAnswer, dump, lease_answer
from quorate.contracts.roles import ACTING, READING
from quorate.domain.coordination.leases import AcquireLease, Lease, ReleaseLease, RenewLease

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
_RELEASED = dump(ReleaseAnswer(released=True))


async def acquire(service: Service, call: Call) -> Reply:
    body: LeaseBody = call.body
    tenant = call.principal.tenant
    command = AcquireLease(
        caller=call.principal,
        agent=ref(body),
        contact=read_contact_or_refuse(body.contact_email),
        intent=body.intent,
        duration_minutes=body.duration_minutes,
        new_lease_id=service.id(),
    )

    def render(lease: Lease) -> bytes:
        return dump(lease_answer(tenant, lease))

    return await service.carry_out(call, command, render)


async def renew(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    command = RenewLease(
        caller=call.principal,
        lease_id=call.path["lease_id"],
        duration_minutes=call.body.duration_minutes,
    )

    def render(lease: Lease) -> bytes:
        return dump(lease_answer(tenant, lease))

    return await service.carry_out(call, command, render)


async def release(service: Service, call: Call) -> Reply:
    command = ReleaseLease(caller=call.principal, lease_id=call.path["lease_id"])
    return await service.carry_out(call, command, _render_release)


def _render_release(_: Any) -> bytes:  # noqa: ANN401 - whatever became of the lease.
    return _RELEASED


async def get_lease(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    seen = await service.reader.lease(tenant, call.path["lease_id"])
    if seen.found is None:
        raise Problem("lease_not_found", "No such lease.")
    return Reply(body=dump(lease_answer(tenant, seen.found)), sequence=seen.sequence)


async def list_leases(service: Service, call: Call) -> Reply:
    query: LeasesQuery = call.query
    tenant = call.principal.tenant
    key = read_contact_or_refuse(query.contact_email).key if query.contact_email else None
    seen = await service.reader.live_leases(
        tenant, query.after or "", query.limit, query.agent_id, key
    )
    answer = [lease_answer(tenant, lease) for lease in seen.found]
    links = next_link(LEASES, query, [lease.id for lease in seen.found])
    return Reply(body=dump(answer), sequence=seen.sequence, headers=links)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=LEASE,
        name="acquireLease",
        summary="Acquire a contact exclusively, or renew what the agent holds",
        roles=ACTING,
        body=LeaseBody,
        query=Query,
        answer=LeaseAnswer,
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
        summary="Release a lease; releasing twice is the same as once",
        roles=ACTING,
        query=Query,
        answer=ReleaseAnswer,
        problems=("lease_not_found", "acting_as_another"),
        command=True,
        urgent=True,
        handler=release,
    ),
    Endpoint(
        method="POST",
        path=LEASE + "/{lease_id}/renew",
        name="renewLease",
        summary="Hold a lease for longer; it never becomes shorter",
        roles=ACTING,
        body=RenewBody,
        query=Query,
        answer=LeaseAnswer,
        problems=("lease_not_found", "lease_ended", "acting_as_another"),
        command=True,
        urgent=True,
        handler=renew,
    ),
    Endpoint(
        method="GET",
        path=LEASE + "/{lease_id}",
        name="getLease",
        summary="Look at a lease, present or past",
        roles=READING,
        query=Query,
        answer=LeaseAnswer,
        problems=("lease_not_found",),
        handler=get_lease,
    ),
    Endpoint(
        method="GET",
        path=LEASES,
        name="listLeases",
        summary="List the leases that are valid now",
        roles=READING,
        query=LeasesQuery,
        answer=list[LeaseAnswer],
        problems=("contact_email_invalid",),
        handler=list_leases,
    ),
)
