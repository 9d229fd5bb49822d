"""The facts of an explanation are the cause: without any of them the rule decides otherwise."""

from collections.abc import Sequence

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from quorate.domain.coordination.cancellations import ConsensusCancelled
from quorate.domain.coordination.consensus import Choice, ConsensusDecided, ConsensusExpired
from quorate.domain.coordination.leases import (
    EndLease,
    LeaseConflicted,
    LeaseExpired,
    LeaseReleased,
    LeaseRevoked,
)
from quorate.domain.coordination.send_gate import SendBlocked
from quorate.domain.explanations.accounts import ACCOUNTS, BY_COMMAND_ALONE
from quorate.domain.explanations.explain import explain
from quorate.domain.explanations.facts import FACTS
from quorate.domain.explanations.records import Explanation, LoggedEvent
from quorate.domain.registry import EVENT_TYPES
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.explanations.histories import assert_facts_are_causes
from tests.unit.support.sample_commands import (
    KIM,
    acquire,
    cancel,
    deregister,
    heartbeat,
    key_of,
    propose,
    register,
    release,
    send,
    vote,
)
from tests.unit.support.specification import NOON, Scenario

MINUTE = 60_000
AGENTS = ("ann", "bob", "cid")


def recorded(steps: Sequence[tuple[Command, int]]) -> list[LoggedEvent]:
    """Execute commands, each some minutes after the one before, and return their log."""
    scenario, at = Scenario(), NOON
    log: list[LoggedEvent] = []
    for number, (command, minutes) in enumerate(steps):
        at = Timestamp(at + minutes * MINUTE)
        for event in scenario.execute(command, at).events:
            log.append(
                LoggedEvent(
                    sequence=len(log) + 1,
                    id=f"event-{len(log) + 1}",
                    at=at,
                    actor="keytenant",
                    command_id=f"command-{number}",
                    event=event,
                )
            )
    return log


def explained(log: Sequence[LoggedEvent], type_: type[object]) -> Explanation:
    at = max(at for at, one in enumerate(log) if isinstance(one.event, type_))
    return explain(log[:at], log[at])


def sequences(explanation: Explanation) -> list[tuple[str, int]]:
    return [(fact.kind, fact.sequence) for fact in explanation.facts]


@st.composite
def commands(draw: st.DrawFn) -> tuple[Command, int]:
    name = draw(st.sampled_from(AGENTS))
    choices: list[Command] = [
        register(name),
        heartbeat(name),
        deregister(name),
        acquire(name, KIM, lease=f"lease-{draw(st.integers(0, 10_000))}"),
        send(name),
        send(name, fence=4),
        vote(name, "approve"),
        vote(name, "reject"),
        cancel("ann"),
    ]
    return draw(st.sampled_from(choices)), draw(st.integers(0, 6))


STARTS: list[tuple[Command, int]] = [
    *((register(name), 0) for name in AGENTS),
    (propose("ann"), 0),
]


@examples(st.lists(commands(), max_size=25))
def test_every_fact_is_a_cause(steps: list[tuple[Command, int]]) -> None:
    log = recorded([*STARTS, *steps])
    assert_facts_are_causes(log)


def test_event_that_changes_nothing_is_no_fact() -> None:
    """The control: an unrelated event is in the history, and not among the facts."""
    log = recorded(
        [*STARTS, (heartbeat("cid"), 1), (acquire("ann", KIM), 0), (acquire("bob", KIM), 0)]
    )
    facts = sequences(explained(log, LeaseConflicted))
    assert facts == [("agent", 1), ("agent", 2), ("lease", 6)]
    assert ("agent", 3) not in facts
    assert ("heartbeat", 5) not in facts


def test_expiry_names_the_grant() -> None:
    log = recorded([*STARTS, (acquire("ann", KIM, minutes=1), 0), (acquire("bob", KIM), 2)])
    explanation = explained(log, LeaseExpired)
    assert ("lease", 5) in sequences(explanation)
    assert explanation.rule == "A lease ends at its expiry time, unless it is renewed before."


def test_revocation_names_the_heartbeat_after_which_none_came() -> None:
    log = recorded(
        [
            *STARTS,
            (heartbeat("ann"), 2),
            (acquire("ann", KIM), 0),
            (heartbeat("bob"), 2),
            (heartbeat("ann"), 4),
        ]
    )
    explanation = explained(log, LeaseRevoked)
    kinds = [kind for kind, _ in sequences(explanation)]
    assert {"heartbeat", "lease", "missing_heartbeat"} <= set(kinds)
    assert explanation.rule.startswith("The leases of an agent end when its heartbeats stop")


def test_end_by_an_operator_names_the_grant() -> None:
    end = EndLease(lease_id="new-lease", detail="Kim asked for a pause")
    explanation = explained(recorded([*STARTS, (acquire("ann", KIM), 0), (end, 1)]), LeaseRevoked)

    assert sequences(explanation) == [("lease", 5)]
    assert explanation.rule.startswith("A lease ends when an operator ends it")
    assert explanation.is_reproduced


def test_release_names_the_grant() -> None:
    log = recorded(
        [*STARTS, (acquire("ann", KIM, lease="one"), 0), (release("one", by=key_of("ann")), 1)]
    )
    assert sequences(explained(log, LeaseReleased)) == [("lease", 5)]


@pytest.mark.parametrize(("choice", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_decision_names_the_proposal_and_each_vote(choice: Choice, status: str) -> None:
    log = recorded([*STARTS, (vote("ann", choice), 0), (vote("bob", choice), 0)])
    explanation = explained(log, ConsensusDecided)
    assert explanation.outcome == f"ConsensusDecided: {status}"
    votes = [one for one in sequences(explanation) if one[0] == "vote"]
    assert votes == [("vote", 5), ("vote", 6)]
    assert ("proposal", 4) in sequences(explanation)
    assert ("agent", 3) in sequences(explanation), "the electorate"


def test_timeout_and_cancellation_name_the_proposal() -> None:
    log = recorded([*STARTS, (cancel("ann"), 0)])
    assert ("proposal", 4) in sequences(explained(log, ConsensusCancelled))
    log = recorded([*STARTS, (vote("ann", "approve"), 6)])
    assert ("proposal", 4) in sequences(explained(log, ConsensusExpired))


def test_block_names_the_lease_in_the_way() -> None:
    log = recorded([*STARTS, (acquire("ann", KIM), 0), (send("bob"), 0)])
    explanation = explained(log, SendBlocked)
    assert ("lease", 5) in sequences(explanation)
    assert explanation.outcome == "SendBlocked: lease_conflict"


def test_stale_fence_names_the_release() -> None:
    log = recorded(
        [
            *STARTS,
            (acquire("ann", KIM, lease="one"), 0),
            (release("one", by=key_of("ann")), 0),
            (send("ann", fence=5), 0),
        ]
    )
    assert sequences(explained(log, SendBlocked)) == [("agent", 1), ("lease", 5), ("lease", 6)]


def test_explanation_says_that_events_are_missing() -> None:
    log = recorded([*STARTS, (acquire("ann", KIM), 0), (acquire("bob", KIM), 0)])
    explanation = explain((), log[-1])
    assert not explanation.is_reproduced
    assert explanation.facts == ()


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_type_is_explained_or_ends_nothing(name: str) -> None:
    has_account = EVENT_TYPES[name] in ACCOUNTS
    assert has_account != (name in BY_COMMAND_ALONE), f"explain {name} in domain/explanations"


def test_facts_describe_events_that_exist() -> None:
    assert FACTS.keys() <= EVENT_TYPES.keys()
