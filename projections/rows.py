"""States to rows and back: the one place that knows both.

A row is a tuple in the order of its table's columns, which is what a bulk statement takes.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeAlias

import orjson

from quorate.domain.coordination.consensus import ConsensusRequest, Vote, VoteCount
from quorate.domain.coordination.leases import Lease
from quorate.domain.identity.agent_settings import Settings
from quorate.domain.identity.agents import Agent, folded
from quorate.domain.identity.api_keys import Key
from quorate.domain.identity.tenants import Tenant
from quorate.domain.shared.quotas import COUNTED, Counts
from quorate.domain.shared.timestamps import Timestamp

Values: TypeAlias = tuple[Any, ...]
Row: TypeAlias = Any  # What was read, its columns by name.

_AGENT_TAIL = attrgetter(
    "name",
    "role",
    "incarnation",
    "registered_at",
    "last_heartbeat",
    "active_until",
    "status",
)
_LEASE = attrgetter(
    "id",
    "contact_key",
    "contact_email",
    "agent_id",
    "intent",
    "created_at",
    "expires_at",
    "fence",
    "status",
)


def agent_row(tenant: str, agent: Agent) -> Values:
    return (tenant, agent.id, folded(agent.name), *_AGENT_TAIL(agent))


def agent_of(row: Row) -> Agent:
    return Agent(
        id=row.id,
        name=row.name,
        role=row.role,
        incarnation=row.incarnation,
        registered_at=Timestamp(row.registered_at),
        last_heartbeat=Timestamp(row.last_heartbeat),
        active_until=Timestamp(row.active_until),
        status=row.status,
    )


def lease_row(tenant: str, lease: Lease) -> Values:
    return (tenant, *_LEASE(lease), _ids(lease.contenders), lease.ended_at)


def lease_of(row: Row) -> Lease:
    return Lease(
        id=row.id,
        contact_key=row.contact_key,
        contact_email=row.contact_email,
        agent_id=row.agent_id,
        intent=row.intent,
        created_at=Timestamp(row.created_at),
        expires_at=Timestamp(row.expires_at),
        fence=row.fence,
        status=row.status,
        contenders=() if row.contenders is None else tuple(orjson.loads(row.contenders)),
        ended_at=None if row.ended_at is None else Timestamp(row.ended_at),
    )


def _ids(agent_ids: tuple[str, ...]) -> str | None:
    """As JSON; nearly always there are none, and null costs nothing."""
    return orjson.dumps(agent_ids).decode() if agent_ids else None


def request_row(tenant: str, request: ConsensusRequest) -> Values:
    tally = request.tally
    return (
        tenant,
        request.id,
        request.agent_id,
        request.action,
        request.contact_key,
        request.contact_email,
        request.reason,
        request.status,
        request.timeout_at,
        request.created_at,
        request.electorate,
        request.proposer_votes,
        request.floor,
        request.eligible,
        request.minimum,
        None if request.members is None else orjson.dumps(request.members).decode(),
        request.closed_at,
        tally.approvals if tally else None,
        tally.rejections if tally else None,
        tally.electorate_size if tally else None,
    )


def request_of(row: Row, votes: Mapping[str, Vote]) -> ConsensusRequest:
    tally = None
    if row.electorate_size is not None:
        tally = VoteCount(
            approvals=row.approvals,
            rejections=row.rejections,
            electorate_size=row.electorate_size,
        )
    return ConsensusRequest(
        id=row.id,
        agent_id=row.agent_id,
        action=row.action,
        contact_key=row.contact_key,
        contact_email=row.contact_email,
        reason=row.reason,
        status=row.status,
        timeout_at=Timestamp(row.timeout_at),
        created_at=Timestamp(row.created_at),
        electorate=row.electorate,
        proposer_votes=bool(row.proposer_votes),
        floor=row.floor,
        eligible=row.eligible,
        minimum=row.minimum,
        members=None if row.members is None else tuple(orjson.loads(row.members)),
        votes=votes,
        closed_at=None if row.closed_at is None else Timestamp(row.closed_at),
        tally=tally,
    )


def vote_row(tenant: str, vote: Vote) -> Values:
    return (
        tenant,
        vote.request_id,
        vote.agent_id,
        vote.id,
        vote.vote,
        vote.reason,
        vote.created_at,
    )


def vote_of(row: Row) -> Vote:
    return Vote(
        id=row.id,
        request_id=row.request_id,
        agent_id=row.agent_id,
        vote=row.vote,
        reason=row.reason,
        created_at=Timestamp(row.created_at),
    )


def key_row(tenant: str, key: Key) -> Values:
    return (
        key.id,
        tenant,
        key.role,
        key.secret_hash,
        key.agent_id,
        key.agent_name,
        key.created_at,
        key.revoked_at,
    )


def key_of(row: Row) -> Key:
    return Key(
        id=row.id,
        role=row.role,
        secret_hash=row.secret_hash,
        agent_id=row.agent_id,
        agent_name=row.agent_name,
        created_at=Timestamp(row.created_at),
        revoked_at=None if row.revoked_at is None else Timestamp(row.revoked_at),
    )


def config_row(tenant: str, agent_id: str, settings: Settings) -> Values:
    text = orjson.dumps(dict(settings), option=orjson.OPT_SORT_KEYS).decode()
    return (tenant, agent_id, text)


def settings_of(row: Row) -> Settings:
    settings: Settings = orjson.loads(row.settings)
    return settings


def notification_row(tenant: str, told: tuple[str, int]) -> Values:
    return (tenant, *told)


def notification_of(row: Row) -> tuple[str, int]:
    return (row.agent_id, row.sequence)


def counts_row(tenant: str, counts: Counts) -> Values:
    return (tenant, *(counts.get(counted, 0) for counted in COUNTED))


def counts_of(row: Row) -> Counts:
    return {counted: getattr(row, counted) for counted in COUNTED}


def holding_row(tenant: str, holding: tuple[str, int]) -> Values:
    return (tenant, *holding)


def holding_of(row: Row) -> tuple[str, int]:
    return (row.agent_id, row.live_leases)


def tenant_row(tenant: Tenant) -> Values:
    return (tenant.id, tenant.created_at)


def tenant_of(row: Row) -> Tenant:
    return Tenant(id=row.id, created_at=Timestamp(row.created_at))
