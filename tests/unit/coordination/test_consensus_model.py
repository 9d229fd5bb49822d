"""Votes agree with the reference model for random votes, timeouts and registrations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from quorate.domain.coordination import consensus
from quorate.domain.coordination.consensus import (
    CONSENSUS,
    AlreadyVoted,
    CastVote,
    Choice,
    ConsensusDecided,
    ConsensusRequest,
    RequestClosed,
    VoteCast,
)
from quorate.domain.coordination.electorates import electorate_size, votes_needed
from quorate.domain.coordination.status import request_status
from quorate.domain.identity.agents import AGENTS, Heartbeat, acting, active_agents
from quorate.domain.registry import new_state
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command, DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support import log_checks
from tests.unit.support.reference_model import HUNDREDTHS, Decision, Observation, Proposal
from tests.unit.support.sample_commands import cancel, propose, vote
from tests.unit.support.search_budget import find_failure, run_machine
from tests.unit.support.specification import Outcome
from tests.unit.support.state_machines import (
    ABSENT_COUNTS,
    AGENTS_MAX,
    CHOICES,
    WINDOW,
    ModelComparison,
    choices,
    rejection_code,
)

MINUTE = 60_000
RARELY = 0.3
PROPOSALS_MAX = 12
VALUES: tuple[Choice, Choice] = ("approve", "reject")

DURATIONS = [1_000, WINDOW, 10 * WINDOW, 60 * WINDOW]
FLOORS = [0, 0, 0, 1, 33, 50, 51, 67, 100]
VOTERS = [1, 1, 1, 2, 3, AGENTS_MAX]
ALL_VOTERS = 2**AGENTS_MAX - 1
# One bit per voter. Unanimous patterns are frequent, because random votes rarely form a majority.
PATTERNS = [0, ALL_VOTERS, 0b010101010, 0b000001111]
patterns = st.sampled_from(PATTERNS) | st.integers(0, ALL_VOTERS)


class ConsensusMachine(ModelComparison):
    """Agents propose and vote, time advances, and agents time out, return or register."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: dict[str, str] = {}  # The last status of each proposal.

    def execute(self, command: Command) -> Outcome:
        outcome = super().execute(command)
        decided = any(isinstance(event, ConsensusDecided) for event in outcome.events)
        assert not decided or isinstance(command, CastVote), "no vote caused the decision"
        return outcome

    @initialize(
        n=st.integers(1, AGENTS_MAX),
        absent=st.sampled_from(ABSENT_COUNTS),
        snapshot=st.booleans(),
        abstains=st.booleans(),
        floor=st.sampled_from(FLOORS),
    )
    def begin_with_a_proposal(
        self, n: int, absent: int, snapshot: bool, abstains: bool, floor: int
    ) -> None:
        self.begin(n, absent)
        self.propose_action(0, 60 * WINDOW, snapshot, abstains, floor)

    # -- Rules ---------------------------------------------------------------

    @precondition(lambda self: len(self.statuses) < PROPOSALS_MAX)
    @rule(
        who=choices,
        duration=st.sampled_from(DURATIONS),
        snapshot=st.booleans(),
        abstains=st.booleans(),
        floor=st.sampled_from(FLOORS),
    )
    def propose_action(
        self, who: int, duration: int, snapshot: bool, abstains: bool, floor: int
    ) -> None:
        name, request = self.actor(who), f"request{len(self.statuses)}"
        proposal = Proposal(
            at=self.now,
            agent=name,
            request=request,
            until=self.now + duration,
            snapshot=snapshot,
            proposer_votes=not abstains,
            floor=floor,
        )
        command = propose(
            name,
            request=request,
            minutes=duration / MINUTE,
            electorate="snapshot" if snapshot else "live",
            proposer_votes=not abstains,
            floor=str(floor / HUNDREDTHS) if floor else None,
        )
        outcome = self.execute(command)
        actual = rejection_code(outcome) or describe_proposal(outcome.result)
        assert actual == self.model.propose(proposal)
        if outcome.rejection is None:
            self.statuses[request] = "pending"

    @precondition(lambda self: self.statuses)
    @rule(
        first=choices,
        voters=st.sampled_from(VOTERS),
        selector=choices,
        pattern=st.integers(0, ALL_VOTERS),
    )
    def cast_votes(self, first: int, voters: int, selector: int, pattern: int) -> None:
        """Cast votes in turn; the bit of each voter in the pattern is its choice."""
        for place in range(voters):
            self.cast_vote(self.actor(first + place), selector, VALUES[pattern >> place & 1])

    def cast_vote(self, name: str, selector: int, choice: Choice) -> None:
        pending = [request for request, status in self.statuses.items() if status == "pending"]
        request = self.choose_recent((selector % 5 and pending) or self.statuses, selector)
        actual = self.describe(self.execute(vote(name, choice, request=request)))
        assert actual == self.model.vote(name, request, choice, self.now)

    @precondition(lambda self: self.statuses)
    @rule(who=choices, selector=choices)
    def cancel_proposal(self, who: int, selector: int) -> None:
        """Cancel as the proposer, as any agent, or with the tenant's key."""
        request = self.choose_recent(self.statuses, selector)
        proposer = next((p.agent for p in self.model.proposals if p.request == request), None)
        name = (proposer, self.actor(who), None)[who % 3]
        outcome = self.execute(cancel(name, request=request))
        result = ("cancelled",) if outcome.decided else ("cancelled before",)
        actual = self.describe(outcome) if outcome.rejection else result
        assert actual == self.model.cancel(name, request, self.now)

    @rule(selector=choices, agents=st.booleans())
    def record_due(self, selector: int, agents: bool) -> None:
        if agents:
            self.record_due_of_agent(self.name(selector))
        else:
            self.execute(
                RecordDue(aggregate="consensus", id=self.choose_recent(self.statuses, selector))
            )

    def execute_random(self, rng: Random) -> None:
        first, selector = rng.choice(CHOICES), rng.choice(CHOICES)
        match rng.randrange(18):
            case 0 | 1 | 2 if len(self.statuses) < PROPOSALS_MAX:
                options = (rng.random() < RARELY, rng.random() < RARELY, rng.choice(FLOORS))
                self.propose_action(first, rng.choice(DURATIONS), *options)
            case 3 if self.statuses:
                self.cancel_proposal(first, selector)
            case 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 if self.statuses:
                self.cast_votes(first, rng.choice(VOTERS), selector, rng.choice(PATTERNS))
            case _:
                self.advance_time_or_agents(rng)

    # -- Results -------------------------------------------------------------

    def describe(self, outcome: Outcome) -> Observation:
        if outcome.rejection is None:
            count_events = "counted" if outcome.decided else "counted before"
            return (count_events, outcome.result.status)
        if outcome.rejection.kind is AlreadyVoted:
            return ("already_voted", outcome.rejection.details["vote"])
        if outcome.rejection.kind is RequestClosed:
            return ("consensus_closed", outcome.rejection.details["consensus_status"])
        return rejection_code(outcome) or ()

    # -- Invariants ----------------------------------------------------------

    @invariant()
    def active_agents_agree(self) -> None:
        self.check_active_agents()

    @invariant()
    def status_agrees_before_recording(self) -> None:
        for proposal in self.model.proposals:
            request = self.scenario.tenant_state[CONSENSUS][proposal.request]
            status = request_status(request, self.now)
            assert status == self.model.proposal_status(proposal, self.now)
            assert self.statuses[proposal.request] in ("pending", status), "a final status changed"
            self.statuses[proposal.request] = status

    @invariant()
    def displayed_majority_agrees(self) -> None:
        """The electorate that readers see is the one of a vote that would be cast now."""
        active = self.model.active_agents(self.now)
        for proposal in self.model.proposals:
            request = self.scenario.tenant_state[CONSENSUS][proposal.request]
            is_active = proposal.agent in active
            size = electorate_size(request, len(active), proposer_is_active=is_active)
            electorate = self.model.electorate(proposal, self.now, self.model.length + 1)
            assert size == max(len(electorate), self.model.minimum(proposal))
            assert 2 * votes_needed(size) > size >= 2 * (votes_needed(size) - 1)

    @invariant()
    def decisions_agree(self) -> None:
        decided = {
            entry.event.request_id: count_of(entry.event)
            for entry in self.scenario.events
            if isinstance(entry.event, ConsensusDecided)
        }
        expected = {one.request: self.model.decision(one) for one in self.model.proposals}
        assert decided == {request: count for request, count in expected.items() if count}

    @invariant()
    def log_is_consistent(self) -> None:
        log_checks.decisions_are_justified(self.scenario.events)

    def teardown(self) -> None:
        """Once all deadlines are recorded, the recorded statuses equal those of the model."""
        for proposal in self.model.proposals:
            self.execute(RecordDue(aggregate="consensus", id=proposal.request))
            recorded = self.scenario.tenant_state[CONSENSUS][proposal.request].status
            assert recorded == self.model.proposal_status(proposal, self.now)
        self.log_is_consistent()


def describe_proposal(request: ConsensusRequest) -> Observation:
    return ("proposed", request.id, request.timeout_at, request.eligible, request.minimum)


def count_of(event: ConsensusDecided) -> Decision:
    return Decision(
        status=event.status,
        approvals=event.approvals,
        rejections=event.rejections,
        size=event.electorate_size,
        electorate=[one.removeprefix("agent_") for one in event.electorate],
    )


def test_votes_agree_with_the_reference_model() -> None:
    run_machine(ConsensusMachine)


# -- Planted bugs ------------------------------------------------------------------


def count_inactive_agents(patch: pytest.MonkeyPatch) -> None:
    """Count every agent that ever registered, except agents that may not vote."""
    patch.setattr(consensus, "active_agents", lambda state, _at: frozenset(state[AGENTS]))
    patch.setattr(ModelComparison, "check_active_agents", lambda _self: None)


def time_out_a_millisecond_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        consensus, "active_agents", lambda state, at: active_agents(state, Timestamp(at + 1))
    )
    patch.setattr(ModelComparison, "check_active_agents", lambda _self: None)


def count_votes_of_inactive_agents(patch: pytest.MonkeyPatch) -> None:
    decision = consensus.majority_decision

    def counting_all(
        state: ConsensusRequest, electorate: frozenset[str], votes: Mapping[str, Choice]
    ) -> Sequence[ConsensusDecided]:
        present = dict(zip(sorted(electorate), votes.values(), strict=False))
        return decision(state, electorate, present)

    patch.setattr(consensus, "majority_decision", counting_all)


def accept_half_as_majority(patch: pytest.MonkeyPatch) -> None:
    decision = consensus.majority_decision

    def generous(
        state: ConsensusRequest, electorate: frozenset[str], votes: Mapping[str, Choice]
    ) -> Sequence[ConsensusDecided]:
        approvals = sum(votes.get(one) == "approve" for one in electorate)
        if approvals and 2 * approvals == len(electorate):
            electorate = electorate - {one for one in electorate if one not in votes}
        return decision(state, electorate, votes)

    patch.setattr(consensus, "majority_decision", generous)


def expire_a_millisecond_late(patch: pytest.MonkeyPatch) -> None:
    overdue = consensus.is_overdue
    late = vars(CONSENSUS.deadline)
    patch.setitem(late, "has_passed", lambda state, at: overdue(state, Timestamp(at - 1)))


def allow_changed_votes(patch: pytest.MonkeyPatch) -> None:
    cast = CastVote.decide

    def forgetful(
        command: CastVote, state: TenantState, context: DecisionContext
    ) -> Sequence[Event]:
        try:
            return cast(command, state, context)
        except AlreadyVoted:
            request = state[CONSENSUS][command.request_id]
            return [
                VoteCast(
                    vote_id=command.new_vote_id,
                    request_id=request.id,
                    agent_id=acting(command.caller, command.agent, state).id,
                    vote=command.vote,
                )
            ]

    patch.setattr(CastVote, "decide", forgetful)


def reopen_decided_proposals(patch: pytest.MonkeyPatch) -> None:
    cast = CastVote.decide

    def reopening(
        command: CastVote, state: TenantState, context: DecisionContext
    ) -> Sequence[Event]:
        again = new_state()
        for agent in state[AGENTS].values():
            again[AGENTS].put(agent.id, agent)
        for one in state[CONSENSUS].values():
            again[CONSENSUS].put(one.id, replace(one, status="pending"))
        return cast(command, again, context)

    patch.setattr(CastVote, "decide", reopening)


def decide_on_heartbeats(patch: pytest.MonkeyPatch) -> None:
    decide = Heartbeat.decide

    def eager(command: Heartbeat, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        events = decide(command, state, context)
        pending = [one for one in state[CONSENSUS].values() if one.status == "pending"]
        return [*events, *(end for one in pending for end in eager_decision(one, state, context))]

    patch.setattr(Heartbeat, "decide", eager)


def eager_decision(
    request: ConsensusRequest, state: TenantState, context: DecisionContext
) -> Sequence[ConsensusDecided]:
    electorate = consensus.electorate_of(request, active_agents(state, context.now))
    votes = {voter: one.vote for voter, one in request.votes.items()}
    return consensus.majority_decision(request, electorate, votes)


def count_the_proposer(patch: pytest.MonkeyPatch) -> None:
    electorate_of = consensus.electorate_of

    def with_the_proposer(state: ConsensusRequest, active: frozenset[str]) -> frozenset[str]:
        return electorate_of(replace(state, proposer_votes=True), active)

    patch.setattr(consensus, "electorate_of", with_the_proposer)


def round_the_floor_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(consensus, "ceil", int)


@pytest.mark.parametrize(
    "plant_bug",
    [
        count_inactive_agents,
        time_out_a_millisecond_early,
        count_votes_of_inactive_agents,
        accept_half_as_majority,
        expire_a_millisecond_late,
        allow_changed_votes,
        reopen_decided_proposals,
        decide_on_heartbeats,
        count_the_proposer,
        round_the_floor_down,
    ],
)
def test_planted_bug_is_found(
    plant_bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_bug(monkeypatch)

    with pytest.raises(AssertionError):
        find_failure(ConsensusMachine)
