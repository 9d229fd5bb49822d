"""Who may vote on a proposal, and what each voted; and how many votes count while it is pending."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Label,
    Select,
    and_,
    bindparam,
    case,
    func,
    select,
)

from quorate.domain.coordination.consensus import Choice, ConsensusRequest
from quorate.domain.coordination.electorates import electorate_size
from quorate.domain.shared.records import record
from quorate.eventlog.database import Database
from quorate.eventlog.transactions import DatabaseTransaction, Query
from quorate.projections.identity.agents import active_tenant, is_active
from quorate.projections.tables import agents, requests, votes


@record
class VoterRow:
    """An agent of an electorate; ``name`` is None if its name was removed."""

    id: str
    name: str | None
    vote: Choice | None


@record
class PendingCount:
    """The votes of a pending proposal that count now."""

    electorate_size: int
    approvals: int
    rejections: int


_is_active_now = and_(is_active, agents.c.active_until >= bindparam("now"))
_votes_of_agents = and_(votes.c.tenant == agents.c.tenant, votes.c.agent_id == agents.c.id)


def pending_columns() -> list[Label[int]]:
    """Select for each pending proposal what ``pending_count`` needs, and null for the others."""
    its_proposer = and_(agents.c.tenant == requests.c.tenant, agents.c.id == requests.c.agent_id)
    active = select(func.count()).select_from(agents)
    in_tenant = active_tenant == bindparam("tenant")
    return [
        _while_pending("active_agents", active.where(in_tenant, _is_active_now)),
        _while_pending("active_proposers", active.where(its_proposer, _is_active_now)),
        *(_while_pending(f"counted_{choice}", _counted(choice)) for choice in CHOICES),
    ]


CHOICES: tuple[Choice, Choice] = ("approve", "reject")


def _counted(choice: Choice) -> Select[Any]:
    its_votes = and_(votes.c.tenant == requests.c.tenant, votes.c.request_id == requests.c.id)
    cast = select(func.count()).select_from(votes.join(agents, _votes_of_agents))
    return cast.where(its_votes, votes.c.vote == choice, _is_active_now)


def _while_pending(name: str, count: Select[Any]) -> Label[int]:
    value = count.correlate(requests).scalar_subquery()
    return case((requests.c.status == "pending", value)).label(name)


def pending_count(request: ConsensusRequest, row: Any) -> PendingCount | None:  # noqa: ANN401
    """Return the count of a row with ``pending_columns``; None if the proposal is closed."""
    if request.status != "pending":
        return None
    size = electorate_size(
        request, row.active_agents, proposer_is_active=bool(row.active_proposers)
    )
    is_fixed = request.electorate == "snapshot"  # Votes of members count also when they left.
    return PendingCount(
        electorate_size=size,
        approvals=row.cast_approve if is_fixed else row.counted_approve,
        rejections=row.cast_reject if is_fixed else row.counted_reject,
    )


class ElectorateQueries:
    def __init__(self, database: Database) -> None:
        self._dialect = database.dialect
        its_votes = and_(
            votes.c.tenant == bindparam("tenant"), votes.c.request_id == bindparam("id")
        )
        with_votes = agents.outerjoin(votes, and_(_votes_of_agents, its_votes))
        live = select(*_voter(agents.c.id)).select_from(with_votes)
        live = live.where(
            active_tenant == bindparam("tenant"),
            _is_active_now,
            agents.c.id != bindparam("excluded"),
        )
        self.live = self._page(live, agents.c.id)
        voters = select(*_voter(votes.c.agent_id)).select_from(
            votes.outerjoin(agents, _votes_of_agents)
        )
        self.voters = self._page(voters.where(its_votes), votes.c.agent_id)
        members = select(requests.c.members).where(
            requests.c.tenant == bindparam("tenant"), requests.c.id == bindparam("id")
        )
        self.members = Query(members, self._dialect)
        asked, (agent_id,) = database.rows("asked", 1)
        known = and_(agents.c.tenant == bindparam("tenant"), agents.c.id == agent_id)
        cast = and_(its_votes, votes.c.agent_id == agent_id)
        named = select(*_voter(agent_id)).select_from(
            asked.outerjoin(agents, known).outerjoin(votes, cast)
        )
        self.named = Query(named, self._dialect)

    def _page(self, statement: Select[Any], order: Column[Any]) -> Query:
        page = statement.where(order > bindparam("after")).order_by(order)
        return Query(page.limit(bindparam("limit")), self._dialect)

    async def page(
        self,
        transaction: DatabaseTransaction,
        request: ConsensusRequest,
        values: dict[str, Any],
    ) -> Sequence[VoterRow]:
        """Return a page in the order of agent ids: of the electorate, or of those that voted."""
        if request.status != "pending":
            rows = await transaction.fetch(self.voters, values)
        elif request.electorate == "snapshot":
            rows = await self._members(transaction, values)
        else:
            excluded = "" if request.proposer_votes else request.agent_id
            rows = await transaction.fetch(self.live, {**values, "excluded": excluded})
        return [VoterRow(id=row.id, name=row.name, vote=row.vote) for row in rows]

    async def _members(
        self, transaction: DatabaseTransaction, values: dict[str, Any]
    ) -> Sequence[Any]:
        """The members of a fixed electorate are stored in the order of their ids."""
        [stored] = await transaction.fetch(self.members, values)
        later = [one for one in orjson.loads(stored.members) if one > values["after"]]
        asked = [[one] for one in later[: values["limit"]]]
        values = {**values, "asked": orjson.dumps(asked).decode()}
        return sorted(await transaction.fetch(self.named, values), key=lambda row: str(row.id))


def _voter(agent_id: ColumnElement[str]) -> list[ColumnElement[Any]]:
    return [agent_id.label("id"), agents.c.name.label("name"), votes.c.vote.label("vote")]
