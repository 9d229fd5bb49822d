"""Read model of consensus proposals (table ``requests``) and votes."""

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    Table,
    and_,
    literal_column,
    select,
)

from quorate.domain.coordination.consensus import CONSENSUS as AGGREGATE
from quorate.domain.coordination.consensus import VOTE, ConsensusRequest, Vote, VoteCount
from quorate.domain.shared.records import changed
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata, sql, without
from quorate.projections.repository import (
    Due,
    Find,
    LookupPlan,
    Parts,
    Repository,
    matching,
)

_PENDING = sql("status = 'pending'")

TABLE = Table(
    "requests",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(36), primary_key=True),
    Column("agent_id", text(64), nullable=False),
    Column("action", text(), nullable=False),
    Column("contact_key", text(), nullable=False),
    Column("contact_email", text(), nullable=False),
    Column("reason", text(), nullable=False),
    Column("status", text(16), nullable=False),
    Column("timeout_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("electorate", text(16), nullable=False),
    Column("proposer_votes", Boolean, nullable=False),
    Column("floor", text()),
    Column("eligible", Integer, nullable=False),
    Column("minimum", Integer, nullable=False),
    Column("members", text()),  # A JSON array of agent ids.
    Column("closed_at", BigInteger),
    Column("approvals", Integer),
    Column("rejections", Integer),
    Column("electorate_size", Integer),
    Index("requests_due", "timeout_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("requests_by_status", "tenant", "status", "id"),
    sqlite_with_rowid=False,
)

VOTES = Table(
    "votes",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("request_id", text(36), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("id", text(36), nullable=False),
    Column("vote", text(16), nullable=False),
    Column("reason", text()),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, request: ConsensusRequest) -> Values:
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


def from_row(row: Row, votes: Mapping[str, Vote] | None = None) -> ConsensusRequest:
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
        votes=votes or {},
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


def _loads(repository: Repository[ConsensusRequest], database: Database) -> Sequence[LookupPlan]:
    """Load all votes of a proposal without reasons, which may be long and decide nothing.

    The voter's own vote is loaded with its reason, by the voter's id or name.
    """
    in_request = (VOTES.c.tenant, VOTES.c.request_id)
    voters = agents.TABLE
    theirs = and_(VOTES.c.tenant == voters.c.tenant, VOTES.c.agent_id == voters.c.id)
    all_votes = select(*without(VOTES.c.reason))
    named = (voters.c.tenant, VOTES.c.request_id, voters.c.name_key)
    queries = {
        f"{AGGREGATE.name}.id": matching(database, VOTES, all_votes, in_request),
        f"{VOTE}.id": matching(database, VOTES, select(VOTES), (*in_request, VOTES.c.agent_id)),
        f"{VOTE}.name": matching(database, voters.join(VOTES, theirs), select(VOTES), named),
    }
    return [
        LookupPlan(read=read, brings=VOTE, query=query, put=repository.put_parts)
        for read, query in queries.items()
    ]


CONSENSUS: Repository[ConsensusRequest] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    parts=Parts(
        table=VOTES,
        to_row=vote_row,
        from_row=vote_of,
        parts_of=lambda request: request.votes,
        instance_id_of=lambda row: row.request_id,
        key_of=lambda row: row.agent_id,
        with_parts=lambda request, votes: changed(request, votes=votes),
    ),
    loads=_loads,
    # Written out: a bound status would hide the partial index from the planner.
    due=Due(
        at=TABLE.c.timeout_at,
        where=literal_column("requests.status = 'pending'"),
        is_inclusive=True,
    ),
)
