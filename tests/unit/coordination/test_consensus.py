"""A majority of the agents that are active when it is voted on decides, once and for ever."""

import pytest

from quorate.domain.coordination.consensus import (
    CONSENSUS,
    AlreadyVoted,
    Choice,
    RequestClosed,
    RequestNotFound,
    Status,
    VoteCount,
)
from quorate.domain.identity.agents import AgentInactive, AgentNotFound
from quorate.domain.registry import stream_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import (
    IN_FIVE_MINUTES,
    beat,
    decided,
    lapsed,
    proposed,
    registered,
    timed_out,
    voted,
)
from tests.unit.support.scenario import acquire, heartbeat, propose, register, vote
from tests.unit.support.specification import NOON, Fact, Story, after, given

NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida")
JUST_BEFORE = Timestamp(IN_FIVE_MINUTES - 1)
JUST_AFTER = Timestamp(IN_FIVE_MINUTES + 1)
LATE = after(minutes=6)
settle = RecordDue(aggregate="consensus", id="request")


def asked_among(n: int, *, until: Timestamp = IN_FIVE_MINUTES) -> Story:
    """Ann asked ``n`` agents, herself included, that registered just then."""
    return given(*(registered(name) for name in NAMES[:n]), proposed("ann", among=n, until=until))


# -- Asking ------------------------------------------------------------------


def test_an_active_agent_asks_and_the_request_is_pending() -> None:
    asked = given(registered("ann"), registered("bob")).when(propose("ann"))
    asked.then(proposed("ann", among=2))
    request = asked.answer.outcome

    assert (request.status, request.votes, request.tally) == ("pending", {}, None)
    assert (request.created_at, request.timeout_at) == (NOON, IN_FIVE_MINUTES)


def test_asking_counts_for_nobody_as_a_vote() -> None:
    given(registered("ann")).when(propose("ann")).then(proposed("ann", among=1))


def test_an_inactive_agent_asks_nothing() -> None:
    given(registered("ann"), lapsed("ann", at=LATE)).when(propose("ann")).then_refused(
        AgentInactive("agent_ann", NOON)
    )


def test_an_unknown_agent_asks_nothing() -> None:
    given().when(propose("ann")).then_refused(AgentNotFound())


def test_one_contact_may_be_asked_about_twice() -> None:
    asked = asked_among(3).when(propose("bob", request="other"))

    asked.then(proposed("bob", among=3, request="other"))


def test_the_facts_of_a_request_are_one_stream() -> None:
    facts = (proposed("ann", among=1), voted("ann", "approve"), decided("approved", among=("ann",)))

    assert {stream_of(fact.event) for fact in facts} == {"consensus-request"}


# -- The majority ------------------------------------------------------------

MAJORITY_OF = {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4, 8: 5, 9: 5}


@pytest.mark.parametrize(("choice", "status"), [("approve", "approved"), ("reject", "rejected")])
@pytest.mark.parametrize(("n", "needed"), MAJORITY_OF.items())
def test_more_than_half_decides_and_half_does_not(
    n: int, needed: int, choice: Choice, status: Status
) -> None:
    story = asked_among(n)
    for name in NAMES[: needed - 1]:
        story.when(vote(name, choice)).then(voted(name, choice))
    last = NAMES[needed - 1]
    approvals, rejections = (needed, 0) if choice == "approve" else (0, needed)

    story.when(vote(last, choice)).then(
        voted(last, choice),
        decided(status, among=NAMES[:n], approvals=approvals, rejections=rejections),
    )


def test_the_vote_that_decides_is_told_so() -> None:
    story = asked_among(3)

    assert story.ask(vote("ann", "approve"), NOON).outcome.status == "pending"
    assert story.ask(vote("bob", "approve"), NOON).outcome.status == "approved"


def test_a_decision_keeps_its_counts() -> None:
    story = asked_among(3)
    for name, choice in (("ann", "reject"), ("bob", "approve"), ("cat", "approve")):
        story.ask(vote(name, choice), after(minutes=1))  # type: ignore[arg-type]
    request = story.tenant_state[CONSENSUS]["request"]

    assert request.tally == VoteCount(approvals=2, rejections=1, electorate_size=3)
    assert request.closed_at == after(minutes=1)


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_a_tie_waits_for_the_timeout(n: int) -> None:
    story = asked_among(n)
    for position, name in enumerate(NAMES[:n]):
        choice: Choice = "approve" if position % 2 else "reject"
        story.when(vote(name, choice)).then(voted(name, choice))

    story.when(settle, at=IN_FIVE_MINUTES).then(timed_out("ann", at=IN_FIVE_MINUTES))


def test_a_majority_may_come_after_a_draw() -> None:
    story = asked_among(5)
    for name, choice in (("ann", "approve"), ("bob", "reject"), ("cat", "approve")):
        assert len(story.ask(vote(name, choice), NOON).events) == 1  # type: ignore[arg-type]
    story.when(vote("dan", "reject")).then(voted("dan", "reject"))

    story.when(vote("eve", "reject")).then(
        voted("eve", "reject"), decided("rejected", among=NAMES[:5], approvals=2, rejections=3)
    )


def test_the_proposer_may_vote() -> None:
    asked_among(1).when(vote("ann", "approve")).then(
        voted("ann", "approve"), decided("approved", among=("ann",), approvals=1)
    )


# -- One vote each -----------------------------------------------------------


def test_the_same_vote_again_is_the_first_vote() -> None:
    story = asked_among(3).and_given(voted("ann", "approve", reason="Agreed"))
    again = story.when(vote("ann", "approve", reason="Still agreed"), at=after(minutes=1))
    again.then_nothing()

    assert again.answer.outcome.vote.reason == "Agreed"
    assert again.answer.outcome.vote.created_at == NOON


def test_the_opposite_vote_is_refused() -> None:
    asked_among(3).and_given(voted("ann", "approve")).when(vote("ann", "reject")).then_refused(
        AlreadyVoted("approve")
    )


def test_the_same_vote_again_tells_how_the_request_stands_now() -> None:
    story = asked_among(3)
    story.ask(vote("ann", "approve"), NOON)
    story.ask(vote("bob", "approve"), NOON)

    again = story.when(vote("ann", "approve"))
    again.then_nothing()
    assert again.answer.outcome.status == "approved"


def test_the_opposite_vote_after_the_decision_is_refused_as_a_second_vote() -> None:
    story = asked_among(1)
    story.ask(vote("ann", "approve"), NOON)

    story.when(vote("ann", "reject")).then_refused(AlreadyVoted("approve"))


def test_a_vote_for_one_request_is_none_for_another() -> None:
    story = asked_among(3).and_given(proposed("ann", among=3, request="other"))
    story.ask(vote("ann", "approve"), NOON)

    story.when(vote("bob", "approve", request="other")).then(
        voted("bob", "approve", request="other")
    )


# -- Closed ------------------------------------------------------------------


def test_after_the_decision_nobody_else_votes() -> None:
    story = asked_among(3)
    story.ask(vote("ann", "approve"), NOON)
    story.ask(vote("bob", "approve"), NOON)

    story.when(vote("cat", "reject")).then_refused(RequestClosed("approved"))
    assert story.tenant_state[CONSENSUS]["request"].status == "approved"


def test_a_decided_request_does_not_time_out() -> None:
    story = asked_among(1)
    story.ask(vote("ann", "approve"), NOON)

    story.when(settle, at=JUST_AFTER).then_nothing()


def test_a_request_that_is_not_known_is_not_found() -> None:
    asked_among(1).when(vote("ann", "approve", request="nothing")).then_refused(RequestNotFound())


def test_an_unknown_agent_does_not_vote() -> None:
    asked_among(1).when(vote("zoe", "approve")).then_refused(AgentNotFound())


# -- The timeout -------------------------------------------------------------


def test_until_the_last_millisecond_votes_are_counted() -> None:
    story = asked_among(1)

    story.when(vote("ann", "approve"), at=JUST_BEFORE).then(
        voted("ann", "approve", at=JUST_BEFORE),
        decided("approved", among=("ann",), approvals=1, at=JUST_BEFORE),
    )


@pytest.mark.parametrize("at", [IN_FIVE_MINUTES, JUST_AFTER])
def test_at_the_timeout_it_is_too_late_to_vote(at: Timestamp) -> None:
    story = asked_among(1).and_given(beat("ann", at=after(minutes=1)))

    story.when(vote("ann", "approve"), at=at).then_refused(
        RequestClosed("expired"), settled=[timed_out("ann", at=at)]
    )


@pytest.mark.parametrize("first", [settle, vote("ann", "approve")], ids=["timer", "vote"])
@pytest.mark.parametrize("second", [settle, vote("bob", "reject")], ids=["timer", "vote"])
def test_a_timeout_is_recorded_once_whoever_notifications_it(
    first: Command, second: Command
) -> None:
    story = asked_among(3).and_given(*(beat(name, at=after(minutes=1)) for name in ("ann", "bob")))
    answers = [story.ask(command, JUST_AFTER) for command in (first, second)]
    settled = [event for answer in answers for event in answer.events]

    assert [Fact(at=JUST_AFTER, event=event) for event in settled] == [
        timed_out("ann", at=JUST_AFTER)
    ]


def test_before_the_timeout_the_timer_finds_nothing() -> None:
    asked_among(3).when(settle, at=JUST_BEFORE).then_nothing()


def test_the_timer_may_come_for_a_request_that_never_was() -> None:
    given().when(settle).then_nothing()


@pytest.mark.parametrize(("minutes", "milliseconds"), [(1 / 60, 1_000), (0.5, 30_000)])
def test_the_timeout_may_be_a_fraction_of_minutes(minutes: float, milliseconds: int) -> None:
    given(registered("ann")).when(propose("ann", minutes=minutes)).then(
        proposed("ann", among=1, until=after(milliseconds=milliseconds))
    )


# -- Who is active when ------------------------------------------------------


def test_who_joins_late_counts_and_may_vote() -> None:
    story = asked_among(2).and_given(registered("cat"))
    story.ask(vote("ann", "approve"), NOON)

    story.when(vote("cat", "approve")).then(
        voted("cat", "approve"), decided("approved", among=NAMES[:3], approvals=2)
    )


def test_who_joins_late_raises_the_majority_for_all() -> None:
    story = asked_among(3)
    story.ask(vote("ann", "approve"), NOON)
    for name in ("dan", "eve"):
        story.ask(register(name), NOON)

    story.when(vote("bob", "approve")).then(voted("bob", "approve"))


def silent_but(*names: str, n: int) -> Story:
    """Ann asked ``n`` agents; only these were heard of again and are active after the window."""
    heard = (beat(name, at=after(minutes=3)) for name in names)
    return asked_among(n, until=after(minutes=30)).and_given(*heard)


def test_who_has_lapsed_is_not_counted_whether_or_not_the_log_says_so_yet() -> None:
    unseen = silent_but("ann", "bob", n=5)
    seen = silent_but("ann", "bob", n=5).and_given(
        *(lapsed(name, at=LATE) for name in ("cat", "dan", "eve"))
    )

    for story in (unseen, seen):
        story.when(vote("ann", "approve"), at=LATE).then(voted("ann", "approve", at=LATE))
        story.when(vote("bob", "approve"), at=LATE).then(
            voted("bob", "approve", at=LATE),
            decided("approved", among=("ann", "bob"), approvals=2, at=LATE),
        )


def test_the_vote_of_who_has_lapsed_is_not_counted() -> None:
    story = silent_but("ann", "bob", "cat", n=5)
    story.ask(vote("dan", "approve"), after(minutes=4))
    story.ask(vote("eve", "approve"), after(minutes=4))

    story.when(vote("ann", "approve"), at=LATE).then(voted("ann", "approve", at=LATE))


def test_the_vote_of_who_has_come_back_counts_again() -> None:
    story = silent_but("ann", "bob", "cat", n=5)
    story.ask(vote("dan", "approve"), after(minutes=4))
    story.ask(vote("ann", "approve"), LATE)
    story.when(heartbeat("dan"), at=LATE).then(lapsed("dan", at=LATE), beat("dan", at=LATE))

    story.when(vote("bob", "approve")).then(
        voted("bob", "approve", at=LATE),
        decided("approved", among=("ann", "bob", "cat", "dan"), approvals=3, at=LATE),
    )


def test_who_has_lapsed_does_not_vote_until_it_is_heard_of_again() -> None:
    story = silent_but("ann", n=2)
    story.when(vote("bob", "approve"), at=LATE).then_refused(
        AgentInactive("agent_bob", NOON), settled=[lapsed("bob", at=LATE)]
    )
    story.ask(heartbeat("bob"), LATE)

    story.when(vote("bob", "approve")).then(voted("bob", "approve", at=LATE))


def test_exactly_at_the_window_an_agent_still_counts() -> None:
    story = asked_among(2, until=after(minutes=30))
    at_the_window, past_it = after(minutes=5), after(minutes=5, milliseconds=1)
    story.when(vote("ann", "approve"), at=at_the_window).then(
        voted("ann", "approve", at=at_the_window)
    )
    other = asked_among(2, until=after(minutes=30)).and_given(beat("ann", at=after(minutes=1)))

    other.when(vote("ann", "approve"), at=past_it).then(
        voted("ann", "approve", at=past_it),
        decided("approved", among=("ann",), approvals=1, at=past_it),
    )


@pytest.mark.parametrize(
    "command",
    [
        RecordDue(aggregate="agent", id="agent_cat"),
        settle,
        heartbeat("ann"),
        heartbeat("cat"),
        register("ann"),
        acquire("ann"),
        vote("ann", "approve"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_but_a_new_vote_decides(command: Command) -> None:
    """Two of four approved; when the others have gone silent, two are more than half of two."""
    story = silent_but("ann", "bob", n=4)
    story.ask(vote("ann", "approve"), after(minutes=4))
    story.ask(vote("bob", "approve"), after(minutes=4))
    story.ask(command, LATE)

    assert story.tenant_state[CONSENSUS]["request"].status == "pending"


def test_a_majority_that_a_lapse_made_is_decided_by_the_next_vote_even_against_it() -> None:
    story = silent_but("ann", "bob", "cat", n=5)
    story.ask(vote("ann", "approve"), after(minutes=4))
    story.ask(vote("bob", "approve"), after(minutes=4))

    story.when(vote("cat", "reject"), at=LATE).then(
        voted("cat", "reject", at=LATE),
        decided("approved", among=("ann", "bob", "cat"), approvals=2, rejections=1, at=LATE),
    )


def test_a_decision_stays_when_those_who_made_it_lapse() -> None:
    story = asked_among(3)
    for name in ("ann", "bob"):
        story.ask(vote(name, "approve"), NOON)
    story.ask(heartbeat("cat"), after(minutes=4))
    for command in (settle, RecordDue(aggregate="agent", id="agent_ann"), heartbeat("bob")):
        story.ask(command, LATE)

    assert story.tenant_state[CONSENSUS]["request"].status == "approved"
