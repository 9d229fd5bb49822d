"""Every vote of up to five agents, in every order, with every lapse and return between.

What comes next depends on the state alone, so each state is left by every move once, whatever
sequence led to it: that covers all sequences, of five moves or of fifty.
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
from tests.unit.support.sample_events import registered
from tests.unit.support.scenario import heartbeat, id_of, propose, vote
from tests.unit.support.specification import NOON, WINDOW, Story, given

NAMES = ("ann", "bob", "cat", "dan", "eve")
LENGTH_AT_LEAST = 5
Move = tuple[Literal["approve", "reject", "lapse", "return"], str]
Stand = tuple[frozenset[str], frozenset[tuple[str, str]], str]
THIS_MOMENT = DecisionContext(now=NOON, sequence=1, window=WINDOW)


def stand(tenant_state: TenantState) -> Stand:
    """Who is active, who voted what, and how the request stands: all that matters."""
    request = tenant_state[CONSENSUS]["request"]
    votes = frozenset((voter, one.vote) for voter, one in request.votes.items())
    return active_agents(tenant_state, NOON), votes, request.status


def moves(names: tuple[str, ...]) -> Iterator[Move]:
    for name in names:
        yield from (("approve", name), ("reject", name), ("lapse", name), ("return", name))


def moved(tenant_state: TenantState, move: Move) -> tuple[TenantState, ConsensusDecided | None]:
    """The situation after a move, the one before left as it was, and the decision if there was."""
    after = new_state()
    for agent in tenant_state[AGENTS].values():
        after[AGENTS].put(agent.id, agent)
    for request in tenant_state[CONSENSUS].values():
        after[CONSENSUS].put(request.id, request)
    match move:
        case ("approve" | "reject" as choice, name):
            return after, cast(after, name, choice)
        case ("lapse", name) if tenant_state[AGENTS][id_of(name)].status == "active":
            lapse = AgentLapsed(
                agent_id=id_of(name), agent_name=name, last_heartbeat=NOON, active_until=NOON
            )
            after.apply(lapse, NOON)
        case ("return", name):
            for event in heartbeat(name).decide(after, THIS_MOMENT):
                after.apply(event, NOON)
    return after, None


def cast(tenant_state: TenantState, name: str, choice: Choice) -> ConsensusDecided | None:
    try:
        events = vote(name, choice).decide(tenant_state, THIS_MOMENT)
    except DomainError:
        return None
    for event in events:
        tenant_state.apply(event, NOON)
    decisions = [event for event in events if isinstance(event, ConsensusDecided)]
    assert events == [] or isinstance(events[0], VoteCast)
    assert len(decisions) == max(0, len(events) - 1)
    return decisions[0] if decisions else None


class Rule:
    """The rule of the majority, said by counting."""

    def __init__(self, tenant_state: TenantState) -> None:
        request = tenant_state[CONSENSUS]["request"]
        self.proposer = None if request.proposer_votes else request.agent_id
        self.members = frozenset(tenant_state[AGENTS]) if request.electorate == "snapshot" else None
        self.least = request.minimum

    def count(self, after: Stand) -> tuple[int, int, int]:
        """Approvals, rejections, and how many are asked."""
        active, votes, _ = after
        asked = (active if self.members is None else self.members) - {self.proposer}
        counted = [choice for voter, choice in votes if voter in asked]
        n = max(len(asked), self.least)
        return counted.count("approve"), counted.count("reject"), n

    def check(self, before: Stand, after: Stand, decision: ConsensusDecided | None) -> None:
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

    def check_allowed(self, before: Stand, after: Stand, move: Move) -> None:
        """A new vote is taken from an active agent that is asked, has not voted, and in time."""
        deed, name = move
        if deed not in ("approve", "reject"):
            return
        active, votes, status = before
        asked = (active if self.members is None else self.members) - {self.proposer}
        may = id_of(name) in active & asked and id_of(name) not in dict(votes)
        assert (before[1] != after[1]) == (may and status == "pending")


def explore(story: Story, names: tuple[str, ...]) -> int:
    """Follow every move from every state; the length of the longest shortest way to one."""
    rule = Rule(story.tenant_state)
    lengths = {stand(story.tenant_state): 0}
    to_leave = deque([story.tenant_state])
    while to_leave:
        tenant_state = to_leave.popleft()
        before = stand(tenant_state)
        for move in moves(names):
            after, decision = moved(tenant_state, move)
            rule.check(before, stand(after), decision)
            rule.check_allowed(before, stand(after), move)
            if stand(after) not in lengths:
                lengths[stand(after)] = lengths[before] + 1
                to_leave.append(after)
    return max(lengths.values())


def asked(n: int) -> Story:
    return given(*(registered(name) for name in NAMES[:n]))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_first_majority_decides_and_both_never_hold(n: int) -> None:
    story = asked(n)
    story.ask(propose("ann", minutes=60), NOON)

    assert explore(story, NAMES[:n]) >= (LENGTH_AT_LEAST if n > 2 else n)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("electorate", ["live", "snapshot"])
@pytest.mark.parametrize("proposer_votes", [True, False])
@pytest.mark.parametrize("floor", [None, "0.5", "1"])
def test_so_it_is_under_every_option(
    n: int, electorate: Literal["live", "snapshot"], proposer_votes: bool, floor: str | None
) -> None:
    story = asked(n)
    command = propose(
        "ann", minutes=60, electorate=electorate, proposer_votes=proposer_votes, floor=floor
    )
    story.ask(command, NOON)

    explore(story, NAMES[:n])


def test_a_rule_that_counts_the_lapsed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = frozenset(id_of(name) for name in NAMES[:3])
    monkeypatch.setattr(consensus, "electorate_of", lambda _state, _active: everybody)
    story = asked(3)
    story.ask(propose("ann", minutes=60), NOON)

    with pytest.raises(AssertionError, match="majority"):
        explore(story, NAMES[:3])


def test_states_are_told_apart_by_what_matters() -> None:
    story = asked(2)
    story.ask(propose("ann", minutes=60), NOON)
    before = stand(story.tenant_state)
    after, _ = moved(story.tenant_state, ("lapse", "bob"))

    assert stand(after) != before == stand(story.tenant_state)
    assert (
        replace(story.tenant_state[AGENTS]["agent_bob"], status="lapsed") in after[AGENTS].values()
    )
