"""Whoever votes, lapses, returns or joins, votes are as the naive model says; so is the log."""

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
from quorate.domain.coordination.status import request_status
from quorate.domain.identity.agents import AGENTS, Heartbeat, acting, active_agents
from quorate.domain.registry import new_state
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command, DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support import log_checks
from tests.unit.support.reference_model import HUNDREDTHS, Count, Question, Told
from tests.unit.support.scenario import propose, vote
from tests.unit.support.search_budget import play, search
from tests.unit.support.specification import Answer
from tests.unit.support.state_machines import (
    ABSENCES,
    AGENTS_MAX,
    CHOICES,
    WINDOW,
    Playing,
    choices,
    refused,
)

MINUTE = 60_000
RARELY = 0.3
QUESTIONS_MAX = 12
VALUES: tuple[Choice, Choice] = ("approve", "reject")

LENGTHS = [1_000, WINDOW, 10 * WINDOW, 60 * WINDOW]
FLOORS = [0, 0, 0, 1, 33, 50, 51, 67, 100]
VOTERS = [1, 1, 1, 2, 3, AGENTS_MAX]
EVERYBODY = 2**AGENTS_MAX - 1
# One bit per voter. Those who agree come often: random votes seldom make a majority.
PATTERNS = [0, EVERYBODY, 0b010101010, 0b000001111]
patterns = st.sampled_from(PATTERNS) | st.integers(0, EVERYBODY)


class VotePlay(Playing):
    """Agents ask and vote; time passes; some go silent, come back, or join."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, str] = {}  # How each request last stood.

    def ask(self, command: Command) -> Answer:
        answer = super().ask(command)
        decided = any(isinstance(event, ConsensusDecided) for event in answer.events)
        assert not decided or isinstance(command, CastVote), "decided by something else"
        return answer

    @initialize(
        n=st.integers(1, AGENTS_MAX),
        absent=st.sampled_from(ABSENCES),
        snapshot=st.booleans(),
        stands_aside=st.booleans(),
        floor=st.sampled_from(FLOORS),
    )
    def begin_by_asking(
        self, n: int, absent: int, snapshot: bool, stands_aside: bool, floor: int
    ) -> None:
        self.begin(n, absent)
        self.asks(0, 60 * WINDOW, snapshot, stands_aside, floor)

    # -- Rules ---------------------------------------------------------------

    @precondition(lambda self: len(self.seen) < QUESTIONS_MAX)
    @rule(
        who=choices,
        length=st.sampled_from(LENGTHS),
        snapshot=st.booleans(),
        stands_aside=st.booleans(),
        floor=st.sampled_from(FLOORS),
    )
    def asks(self, who: int, length: int, snapshot: bool, stands_aside: bool, floor: int) -> None:
        name, request = self.actor(who), f"request{len(self.seen)}"
        question = Question(
            at=self.now,
            agent=name,
            request=request,
            until=self.now + length,
            snapshot=snapshot,
            proposer_votes=not stands_aside,
            floor=floor,
        )
        command = propose(
            name,
            request=request,
            minutes=length / MINUTE,
            electorate="snapshot" if snapshot else "live",
            proposer_votes=not stands_aside,
            floor=str(floor / HUNDREDTHS) if floor else None,
        )
        answer = self.ask(command)
        told = refused(answer) or told_of_a_question(answer.outcome)
        assert told == self.naive.ask(question)
        if answer.declined is None:
            self.seen[request] = "pending"

    @precondition(lambda self: self.seen)
    @rule(
        first=choices,
        voters=st.sampled_from(VOTERS),
        which=choices,
        pattern=st.integers(0, EVERYBODY),
    )
    def some_vote(self, first: int, voters: int, which: int, pattern: int) -> None:
        """In turn, each as its bit in the pattern says."""
        for place in range(voters):
            self.votes(self.actor(first + place), which, VALUES[pattern >> place & 1])

    def votes(self, name: str, which: int, choice: Choice) -> None:
        pending = [request for request, status in self.seen.items() if status == "pending"]
        request = self.some((which % 5 and pending) or self.seen, which)
        told = self.told_of(self.ask(vote(name, choice, request=request)))
        assert told == self.naive.vote(name, request, choice, self.now)

    @rule(which=choices, agents=st.booleans())
    def the_timer_comes(self, which: int, agents: bool) -> None:
        if agents:
            self.the_timer_comes_for(self.name(which))
        else:
            self.ask(RecordDue(aggregate="consensus", id=self.some(self.seen, which)))

    def something_happens(self, dice: Random) -> None:
        first, which = dice.choice(CHOICES), dice.choice(CHOICES)
        match dice.randrange(6):
            case 0 if len(self.seen) < QUESTIONS_MAX:
                options = (dice.random() < RARELY, dice.random() < RARELY, dice.choice(FLOORS))
                self.asks(first, dice.choice(LENGTHS), *options)
            case 1 | 2 | 3 if self.seen:
                self.some_vote(first, dice.choice(VOTERS), which, dice.choice(PATTERNS))
            case _:
                self.time_or_an_agent_goes_on(dice)

    # -- What was said -------------------------------------------------------

    def told_of(self, answer: Answer) -> Told:
        if answer.declined is None:
            counted = "counted" if answer.decided else "counted before"
            return (counted, answer.outcome.status)
        if answer.declined.kind is AlreadyVoted:
            return ("already_voted", answer.declined.facts["vote"])
        if answer.declined.kind is RequestClosed:
            return ("consensus_closed", answer.declined.facts["consensus_status"])
        return refused(answer) or ()

    # -- What always holds ---------------------------------------------------

    @invariant()
    def who_is_active_is_agreed(self) -> None:
        self.who_is_active()

    @invariant()
    def readers_see_what_is_true_before_it_is_recorded(self) -> None:
        for question in self.naive.questions:
            request = self.story.tenant_state[CONSENSUS][question.request]
            status = request_status(request, self.now)
            assert status == self.naive.status(question, self.now)
            assert self.seen[question.request] in ("pending", status), "it was final"
            self.seen[question.request] = status

    @invariant()
    def decisions_are_those_of_the_model(self) -> None:
        decided = {
            fact.event.request_id: count_of(fact.event)
            for fact in self.story.facts
            if isinstance(fact.event, ConsensusDecided)
        }
        expected = {one.request: self.naive.decision(one) for one in self.naive.questions}
        assert decided == {request: count for request, count in expected.items() if count}

    @invariant()
    def the_log_is_sound(self) -> None:
        log_checks.decisions_are_justified(self.story.facts)

    def teardown(self) -> None:
        """When the timer has come for everything, the log itself says what the model says."""
        for question in self.naive.questions:
            self.ask(RecordDue(aggregate="consensus", id=question.request))
            recorded = self.story.tenant_state[CONSENSUS][question.request].status
            assert recorded == self.naive.status(question, self.now)
        self.the_log_is_sound()


def told_of_a_question(request: ConsensusRequest) -> Told:
    return ("asked", request.id, request.timeout_at, request.eligible, request.minimum)


def count_of(event: ConsensusDecided) -> Count:
    return Count(
        status=event.status,
        approvals=event.approvals,
        rejections=event.rejections,
        size=event.electorate_size,
        electorate=[one.removeprefix("agent_") for one in event.electorate],
    )


def test_votes_agree_with_a_naive_model_of_them() -> None:
    play(VotePlay)


# -- Planted bugs ------------------------------------------------------------------


def counts_who_has_lapsed(patch: pytest.MonkeyPatch) -> None:
    """Though not those who may not vote themselves: everybody who ever registered."""
    patch.setattr(consensus, "active_agents", lambda state, _at: frozenset(state[AGENTS]))
    patch.setattr(Playing, "who_is_active", lambda _self: None)


def forgets_who_has_lapsed_a_millisecond_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        consensus, "active_agents", lambda state, at: active_agents(state, Timestamp(at + 1))
    )
    patch.setattr(Playing, "who_is_active", lambda _self: None)


def counts_the_votes_of_the_absent(patch: pytest.MonkeyPatch) -> None:
    decision = consensus._decision

    def counting_all(
        state: ConsensusRequest, electorate: frozenset[str], votes: Mapping[str, Choice]
    ) -> Sequence[ConsensusDecided]:
        present = dict(zip(sorted(electorate), votes.values(), strict=False))
        return decision(state, electorate, present)

    patch.setattr(consensus, "_decision", counting_all)


def half_is_enough(patch: pytest.MonkeyPatch) -> None:
    decision = consensus._decision

    def generous(
        state: ConsensusRequest, electorate: frozenset[str], votes: Mapping[str, Choice]
    ) -> Sequence[ConsensusDecided]:
        approvals = sum(votes.get(one) == "approve" for one in electorate)
        if approvals and 2 * approvals == len(electorate):
            electorate = electorate - {one for one in electorate if one not in votes}
        return decision(state, electorate, votes)

    patch.setattr(consensus, "_decision", generous)


def closes_a_millisecond_late(patch: pytest.MonkeyPatch) -> None:
    overdue = consensus.is_overdue
    late = vars(CONSENSUS.deadline)
    patch.setitem(late, "has_passed", lambda state, at: overdue(state, Timestamp(at - 1)))


def lets_a_vote_be_changed(patch: pytest.MonkeyPatch) -> None:
    cast = CastVote.decide

    def forgetful(
        command: CastVote, state: TenantState, moment: DecisionContext
    ) -> Sequence[Event]:
        try:
            return cast(command, state, moment)
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


def reopens_what_was_decided(patch: pytest.MonkeyPatch) -> None:
    cast = CastVote.decide

    def reopening(
        command: CastVote, state: TenantState, moment: DecisionContext
    ) -> Sequence[Event]:
        again = new_state()
        for agent in state[AGENTS].values():
            again[AGENTS].put(agent.id, agent)
        for one in state[CONSENSUS].values():
            again[CONSENSUS].put(one.id, replace(one, status="pending"))
        return cast(command, again, moment)

    patch.setattr(CastVote, "decide", reopening)


def decides_on_a_heartbeat(patch: pytest.MonkeyPatch) -> None:
    decide = Heartbeat.decide

    def eager(command: Heartbeat, state: TenantState, moment: DecisionContext) -> Sequence[Event]:
        events = decide(command, state, moment)
        pending = [one for one in state[CONSENSUS].values() if one.status == "pending"]
        return [*events, *(end for one in pending for end in eager_decision(one, state, moment))]

    patch.setattr(Heartbeat, "decide", eager)


def eager_decision(
    request: ConsensusRequest, state: TenantState, moment: DecisionContext
) -> Sequence[ConsensusDecided]:
    electorate = consensus.electorate_of(request, active_agents(state, moment.now))
    votes = {voter: one.vote for voter, one in request.votes.items()}
    return consensus._decision(request, electorate, votes)


def asks_the_proposer_too(patch: pytest.MonkeyPatch) -> None:
    electorate_of = consensus.electorate_of

    def with_the_proposer(state: ConsensusRequest, active: frozenset[str]) -> frozenset[str]:
        return electorate_of(replace(state, proposer_votes=True), active)

    patch.setattr(consensus, "electorate_of", with_the_proposer)


def rounds_the_floor_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(consensus, "ceil", int)


@pytest.mark.parametrize(
    "plant",
    [
        counts_who_has_lapsed,
        forgets_who_has_lapsed_a_millisecond_early,
        counts_the_votes_of_the_absent,
        half_is_enough,
        closes_a_millisecond_late,
        lets_a_vote_be_changed,
        reopens_what_was_decided,
        decides_on_a_heartbeat,
        asks_the_proposer_too,
        rounds_the_floor_down,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError):
        search(VotePlay)
