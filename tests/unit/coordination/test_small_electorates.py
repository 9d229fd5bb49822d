"""All votes of up to five agents, in all orders, with all timeouts and returns in between.

The next state depends only on the current state. So each state is left by every move once, which
covers all sequences of any length.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from quorate.domain.coordination import consensus
from quorate.domain.coordination.consensus import CONSENSUS, Choice, ConsensusDecided, VoteCast
from quorate.domain.identity.agents import AGENTS, AgentLapsed, active_agents
from quorate.domain.registry import new_state
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.state import DecisionContext, TenantState
from tests.unit.support.sample_commands import heartbeat, id_of, propose, vote
from tests.unit.support.sample_events import registered
from tests.unit.support.specification import NOON, WINDOW, Scenario, given

NAMES = ("ann", "bob", "cat", "dan", "eve")
PATH_LENGTH_MIN = 5
Move = tuple[Literal["approve", "reject", "time out", "return"], str]
Summary = tuple[frozenset[str], frozenset[tuple[str, str]], str]
CONTEXT = DecisionContext(now=NOON, sequence=1, window=WINDOW)


def summarize(tenant_state: TenantState) -> Summary:
    """Return the active agents, the votes and the status: everything that decisions depend on."""
    request = tenant_state[CONSENSUS]["request"]
    votes = frozenset((voter, one.vote) for voter, one in request.votes.items())
    return active_agents(tenant_state, NOON), votes, request.status


def possible_moves(names: tuple[str, ...]) -> Iterator[Move]:
    for name in names:
        yield from (("approve", name), ("reject", name), ("time out", name), ("return", name))


def apply_move(
    tenant_state: TenantState, move: Move
) -> tuple[TenantState, ConsensusDecided | None]:
    """Return the state after a move, and the decision if the move made one; copy the state."""
    after = new_state()
    for agent in tenant_state[AGENTS].values():
        after[AGENTS].put(agent.id, agent)
    for request in tenant_state[CONSENSUS].values():
        after[CONSENSUS].put(request.id, request)
    match move:
        case ("approve" | "reject" as choice, name):
            return after, cast_vote(after, name, choice)
        case ("time out", name) if tenant_state[AGENTS][id_of(name)].status == "active":
            timeout = AgentLapsed(
                agent_id=id_of(name), agent_name=name, last_heartbeat=NOON, active_until=NOON
            )
            after.apply(timeout, NOON)
        case ("return", name):
            for event in heartbeat(name).decide(after, CONTEXT):
                after.apply(event, NOON)
    return after, None


def cast_vote(tenant_state: TenantState, name: str, choice: Choice) -> ConsensusDecided | None:
    try:
        events = vote(name, choice).decide(tenant_state, CONTEXT)
    except DomainError:
        return None
    for event in events:
        tenant_state.apply(event, NOON)
    decisions = [event for event in events if isinstance(event, ConsensusDecided)]
    assert events == [] or isinstance(events[0], VoteCast)
    assert len(decisions) == max(0, len(events) - 1)
    return decisions[0] if decisions else None


class MajorityRule:
    """The majority rule, implemented by counting votes."""

    def __init__(self, tenant_state: TenantState) -> None:
        request = tenant_state[CONSENSUS]["request"]
        self.proposer = None if request.proposer_votes else request.agent_id
        self.members = frozenset(tenant_state[AGENTS]) if request.electorate == "snapshot" else None
        self.minimum = request.minimum

    def count(self, after: Summary) -> tuple[int, int, int]:
        """Return approvals, rejections, and the size of the electorate."""
        active, votes, _ = after
        electorate = (active if self.members is None else self.members) - {self.proposer}
        counted = [choice for voter, choice in votes if voter in electorate]
        n = max(len(electorate), self.minimum)
        return counted.count("approve"), counted.count("reject"), n

    def check(self, before: Summary, after: Summary, decision: ConsensusDecided | None) -> None:
        approvals, rejections, n = self.count(after)
        assert not (2 * approvals > n and 2 * rejections > n), "both majorities at once"
        is_new_vote = before[1] != after[1]
        majority = 2 * approvals > n or 2 * rejections > n
        assert (decision is not None) == (is_new_vote and majority), "not at the first majority"
        if decision is None:
            assert after[2] == before[2], "it changed without a decision"
            return
        assert before[2] == "pending"
        assert after[2] == decision.status == ("approved" if 2 * approvals > n else "rejected")
        assert (decision.approvals, decision.rejections) == (approvals, rejections)
        assert decision.electorate_size == n

    def check_allowed(self, before: Summary, after: Summary, move: Move) -> None:
        """A new vote is accepted only from an active member of the electorate without a vote."""
        kind, name = move
        if kind not in ("approve", "reject"):
            return
        active, votes, status = before
        electorate = (active if self.members is None else self.members) - {self.proposer}
        is_allowed = id_of(name) in active & electorate and id_of(name) not in dict(votes)
        assert (before[1] != after[1]) == (is_allowed and status == "pending")


def explore(scenario: Scenario, names: tuple[str, ...]) -> int:
    """Make every move from every state; return the largest distance of a state from the start."""
    rule = MajorityRule(scenario.tenant_state)
    distances = {summarize(scenario.tenant_state): 0}
    unexplored = deque([scenario.tenant_state])
    while unexplored:
        tenant_state = unexplored.popleft()
        before = summarize(tenant_state)
        for move in possible_moves(names):
            after, decision = apply_move(tenant_state, move)
            reached = summarize(after)
            rule.check(before, reached, decision)
            rule.check_allowed(before, reached, move)
            if reached not in distances:
                distances[reached] = distances[before] + 1
                unexplored.append(after)
    return max(distances.values())


def create_agents(n: int) -> Scenario:
    return given(*(registered(name) for name in NAMES[:n]))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_first_majority_decides_and_is_unique(n: int) -> None:
    scenario = create_agents(n)
    scenario.execute(propose("ann", minutes=60), NOON)

    assert explore(scenario, NAMES[:n]) >= (PATH_LENGTH_MIN if n > 2 else n)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("electorate", ["live", "snapshot"])
@pytest.mark.parametrize("proposer_votes", [True, False])
@pytest.mark.parametrize("floor", [None, "0.5", "1"])
def test_first_majority_decides_under_every_option(
    n: int, electorate: Literal["live", "snapshot"], proposer_votes: bool, floor: str | None
) -> None:
    scenario = create_agents(n)
    command = propose(
        "ann", minutes=60, electorate=electorate, proposer_votes=proposer_votes, floor=floor
    )
    scenario.execute(command, NOON)

    explore(scenario, NAMES[:n])


def test_planted_rule_that_counts_timed_out_agents_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_agents = frozenset(id_of(name) for name in NAMES[:3])
    monkeypatch.setattr(consensus, "electorate_of", lambda _state, _active: all_agents)
    scenario = create_agents(3)
    scenario.execute(propose("ann", minutes=60), NOON)

    with pytest.raises(AssertionError, match="majority"):
        explore(scenario, NAMES[:3])


def test_state_summary_distinguishes_relevant_differences() -> None:
    scenario = create_agents(2)
    scenario.execute(propose("ann", minutes=60), NOON)
    before = summarize(scenario.tenant_state)
    after, _ = apply_move(scenario.tenant_state, ("time out", "bob"))

    assert summarize(after) != before == summarize(scenario.tenant_state)
    assert (
        replace(scenario.tenant_state[AGENTS]["agent_bob"], status="lapsed", active_until=NOON)
        in after[AGENTS].values()
    )
