"""A pending proposal can be cancelled, by its proposer, with the tenant's key or an admin key.

* Only a pending proposal can be cancelled. A cancellation is final: no vote and no timeout follows.
* A second cancellation succeeds and records nothing.
* The proposer need not be active.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.coordination.consensus import (
    CONSENSUS,
    ConsensusRequest,
    RequestClosed,
    RequestNotFound,
)
from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.aggregates import Aggregate, Effect, Reads
from quorate.domain.shared.errors import Forbidden
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp


@record
class ConsensusCancelled:
    """``agent_id`` is the proposer; ``cancelled_by`` is absent for operators' keys."""

    request_id: str
    agent_id: str
    action: str
    contact_email: str
    cancelled_by: str | None = None
    reason: str | None = None


@dataclass(eq=False)
class NotProposer(Forbidden):
    """Only the proposer may cancel a proposal, or the tenant's key without the name of an agent."""

    code, title = "not_proposer", "The agent did not create the proposal"
    agent_id: str


@record
class CancelConsensus:
    """Cancel a pending proposal. Keys of operators need not name an agent."""

    caller: Principal
    agent: AgentRef
    request_id: str
    reason: str | None = None

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, *CONSENSUS.by("id", self.request_id))

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[ConsensusCancelled]:
        request = state[CONSENSUS].get(self.request_id)
        if request is None:
            raise RequestNotFound
        agent_id = None
        if self.caller.role == "agent" or self.agent != AgentRef():
            agent_id = acting(self.caller, self.agent, state).id
            if agent_id != request.agent_id:
                raise NotProposer(agent_id)
        if request.status == "cancelled":
            return []
        if request.status != "pending":
            raise RequestClosed(request.status)
        return [
            ConsensusCancelled(
                request_id=request.id,
                agent_id=request.agent_id,
                action=request.action,
                contact_email=request.contact_email,
                cancelled_by=agent_id,
                reason=self.reason,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[ConsensusCancelled]) -> ConsensusRequest:
        return state[CONSENSUS][self.request_id]


def _cancel(
    state: ConsensusRequest | None, _event: ConsensusCancelled, at: Timestamp
) -> ConsensusRequest:
    assert state is not None
    return changed(state, status="cancelled", closed_at=at)


CANCELLATIONS: Aggregate[None] = Aggregate(
    name="cancellation",
    events=(ConsensusCancelled,),
    stream=lambda event: f"consensus-{event.request_id}",
    commands=(CancelConsensus,),
    effects=(
        Effect(
            event=ConsensusCancelled,
            aggregate=CONSENSUS,
            id_of=lambda event: event.request_id,
            evolve=_cancel,
        ),
    ),
)
