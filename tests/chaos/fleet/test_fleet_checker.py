"""The fleet checker accepts a correct run and detects every planted error."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from quorate.eventlog.hash_chain import GENESIS, link
from tests.chaos.fleet.fleet_checker import Evidence, StoppedAgent, check_run
from tests.chaos.fleet.journal import (
    Acquired,
    Connected,
    Ended,
    Entry,
    Failed,
    Received,
    Recovered,
    ReliedOn,
    Sent,
)

Json: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Evidence], Evidence]

ANN, BOB = "agent_a", "agent_b"
KIM, MAX = "kim@example.com", "max@example.com"
SECOND = 1_000_000_000


def at(second: float) -> str:
    return f"2026-03-01T12:00:{second:06.3f}Z"


def chained(*events: tuple[float, str, Json]) -> list[Json]:
    """Return a log as the API does: numbered, with each event linked to the previous one."""
    log: list[Json] = []
    previous = GENESIS.hash
    for sequence, (second, type_, data) in enumerate(events, start=1):
        body = {
            "sequence": sequence,
            "id": f"event-{sequence}",
            "stream": "s",
            "type": type_,
            "version": 1,
            "at": at(second),
            "actor": "x",
            "commandId": "c",
            "data": data,
        }
        previous = link(previous, body)
        log.append({**body, "hash": previous.hex()})
    return log


def rechained(log: Sequence[Json]) -> list[Json]:
    """Return the log with a valid hash chain, so that only its content is wrong."""
    return chained(*((float(one["at"][17:23]), one["type"], one["data"]) for one in log))


def contact(email: str, **more: Any) -> Json:  # noqa: ANN401 - any event field.
    return {"contactKey": email, "contactEmail": email, **more}


CONFLICT: Json = contact(
    KIM, leaseId="L1", agentId=BOB, agentName="bob", intent="", holderId=ANN, holderName="ann"
) | {"expiresAt": at(4)}
CONFLICT_NOTIFICATION: Json = contact(
    KIM,
    leaseId="L1",
    agentId=BOB,
    agentName="bob",
    intent="",
    conflict=True,
    leaseHolder={"agentId": ANN, "agentName": "ann", "expiresAt": at(4)},
)
EXPIRED: Json = contact(KIM, leaseId="L1", agentId=ANN, expiresAt=at(4))
RELEASED: Json = {"contactKey": KIM, "leaseId": "L2", "agentId": BOB}
VOTED: Json = {"requestId": "R", "voteId": "V", "agentId": BOB, "vote": "approve"}

LOG = chained(
    (1, "TenantCreated", {"tenantId": "acme"}),
    (1, "LeaseAcquired", contact(KIM, leaseId="L1", agentId=ANN, fence=2, expiresAt=at(3))),
    (2, "LeaseRenewed", {"contactKey": KIM, "leaseId": "L1", "agentId": ANN, "expiresAt": at(4)}),
    (2, "SendAuthorized", contact(KIM, sendId="S1", agentId=ANN, fence=2)),
    (3, "LeaseConflicted", CONFLICT),
    (4, "LeaseExpired", EXPIRED),
    (5, "LeaseAcquired", contact(KIM, leaseId="L2", agentId=BOB, fence=7, expiresAt=at(9))),
    (5, "SendAuthorized", contact(KIM, sendId="S2", agentId=BOB, fence=7)),
    (6, "VoteCast", VOTED),
    (7, "LeaseReleased", RELEASED),
)


def received(agent: str, second: float, sequence: int, name: str, data: Json) -> Received:
    stamp = round(second * SECOND)
    return Received(at=stamp, agent=agent, sequence=sequence, name=name, data=data)


def connected(agent: str, agent_id: str, second: int, after: int) -> Connected:
    return Connected(
        at=second * SECOND, agent=agent, agent_id=agent_id, incarnation=second + 1, after=after
    )


def acquired(agent: str, second: float, lease: str, fence: int) -> Acquired:
    stamp = round(second * SECOND)
    return Acquired(at=stamp, agent=agent, lease=lease, contact=KIM, fence=fence)


def relied_on(agent: str, second: float, lease: str, until: float) -> ReliedOn:
    stamp = round(second * SECOND)
    return ReliedOn(at=stamp, agent=agent, lease=lease, until=round(until * SECOND))


ANNS: Sequence[Entry] = [
    connected("ann", ANN, 0, after=0),
    acquired("ann", 1.1, "L1", fence=2),
    relied_on("ann", 1.2, "L1", until=2.9),
    relied_on("ann", 2.1, "L1", until=3.9),
    Sent(at=2 * SECOND, agent="ann", contact=KIM, fence=2, send="S1", authorized=True),
    received("ann", 3.1, 5, "lease_conflict", CONFLICT_NOTIFICATION),
    Ended(at=6 * SECOND, agent="ann", lease="L1", reason="released"),
    Ended(at=6 * SECOND, agent="ann", lease="L1", reason="lost"),
    received("ann", 6.1, 6, "lease_expired", EXPIRED),
    connected("ann", ANN, 7, after=6),
    received("ann", 7.1, 9, "vote_cast", VOTED),
    Sent(at=8 * SECOND, agent="ann", contact=KIM, fence=2, send="S0", authorized=False),
    Recovered(at=9 * SECOND, agent="ann", seconds=1.0),
]
SENT_BY_BOB = Sent(at=6 * SECOND, agent="bob", contact=KIM, fence=7, send="S2", authorized=True)
RECEIVED_BY_BOB = received("bob", 6.2, 9, "vote_cast", VOTED)
BOBS: Sequence[Entry] = [
    connected("bob", BOB, 0, after=0),
    received("bob", 3.1, 5, "lease_conflict", CONFLICT_NOTIFICATION),
    acquired("bob", 5.1, "L2", fence=7),
    relied_on("bob", 5.2, "L2", until=8.9),
    SENT_BY_BOB,
    RECEIVED_BY_BOB,
    Ended(at=7 * SECOND, agent="bob", lease="L2", reason="released"),
    received("bob", 7.1, 10, "lease_released", RELEASED),
    Recovered(at=9 * SECOND, agent="bob", seconds=1.0),
]
EVIDENCE = Evidence(
    journals={"ann": ANNS, "bob": BOBS},
    log=LOG,
    settled_sequence=len(LOG),
    stopped=[StoppedAgent(agent="ann", lease="L1", at=3 * SECOND)],
    killed=["service"],
)


def test_checker_accepts_a_correct_run() -> None:
    assert check_run(EVIDENCE) == []


# -- Planted errors --------------------------------------------------------------


def journal(name: str, change: Callable[[list[Entry]], list[Entry]]) -> Change:
    def apply(evidence: Evidence) -> Evidence:
        changed = change(list(evidence.journals[name]))
        return replace(evidence, journals={**evidence.journals, name: changed})

    return apply


def without(kind: type[Entry], place: int = 0) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        entries.remove([one for one in entries if isinstance(one, kind)][place])
        return entries

    return change


def plus(*more: Entry) -> Callable[[list[Entry]], list[Entry]]:
    return lambda entries: [*entries, *more]


def event(sequence: int, /, *, second: float | None = None, **data: Any) -> Change:  # noqa: ANN401
    """Change one event, and rebuild the hash chain."""

    def apply(evidence: Evidence) -> Evidence:
        log = [dict(one) for one in evidence.log]
        changed = log[sequence - 1]
        changed["data"] = changed["data"] | data
        if second is not None:
            changed["at"] = at(second)
        return replace(evidence, log=rechained(log))

    return apply


def with_type(sequence: int, type_: str) -> Change:
    def apply(evidence: Evidence) -> Evidence:
        log = [dict(one) for one in evidence.log]
        log[sequence - 1]["type"] = type_
        return replace(evidence, log=rechained(log))

    return apply


def without_event(sequence: int) -> Change:
    return lambda evidence: replace(
        evidence, log=[one for one in evidence.log if one["sequence"] != sequence]
    )


def forged(evidence: Evidence) -> Evidence:
    log = [dict(one) for one in evidence.log]
    log[8]["data"] = log[8]["data"] | {"vote": "reject"}
    return replace(evidence, log=log)


def swapped(kind: type[Entry]) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        first, second = [at for at, one in enumerate(entries) if isinstance(one, kind)][:2]
        entries[first], entries[second] = entries[second], entries[first]
        return entries

    return change


def ignores_expiry(entries: list[Entry]) -> list[Entry]:
    """The agent never checked whether its lease was held."""
    kept = [one for one in entries if not isinstance(one, Ended)]
    return [*kept, ReliedOn(at=6 * SECOND, agent="ann", lease="L1", until=6 * SECOND)]


def optimistic(entries: list[Entry]) -> list[Entry]:
    """The local deadline is later than that of the service, although it was not used."""
    return [replace(one, until=9 * SECOND) if isinstance(one, ReliedOn) else one for one in entries]


def stale(send: str, fence: int) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        return [
            replace(one, fence=fence) if isinstance(one, Sent) and one.send == send else one
            for one in entries
        ]

    return change


ERRORS: Mapping[str, tuple[Change, str]] = {
    "an ignored deadline": (journal("ann", ignores_expiry), "was held by ann (L1) and bob (L2)"),
    "a late deadline": (
        journal("ann", lambda entries: optimistic(without(Ended)(without(Ended)(entries)))),
        "was held by ann (L1) and bob (L2)",
    ),
    "an event missing": (without_event(6), "the log is corrupted"),
    "the last events missing": (
        lambda evidence: replace(evidence, log=evidence.log[:8]),
        "ann received vote_cast of event 9",
    ),
    "a lease cut short": (event(3, expiresAt=at(2.5)), "shortens a lease"),
    "an event forged": (forged, "the log is corrupted"),
    "a contact granted twice": (
        with_type(6, "AgentLapsed"),
        "grants a contact that another agent holds",
    ),
    "an end too early": (event(6, second=3.5), "is too early"),
    "an end of nothing": (event(6, leaseId="L9"), "ends a lease that no agent holds"),
    "a renewal too late": (event(3, second=3.5), "renews an ended lease"),
    "a fence that fell": (event(7, fence=1), "is not the highest"),
    "a send without a lease": (event(8, agentId=ANN), "the sender held no lease"),
    "a send after the end": (event(4, contactKey=MAX), "the sender held no lease"),
    "a stale fence": (journal("bob", stale("S2", 2)), "with the stale fence 2"),
    "a lower fence": (journal("bob", stale("S2", 1)), "after a higher fence than 1"),
    "a send that is not in the log": (
        journal("bob", plus(replace(SENT_BY_BOB, send="S9"))),
        "the decisions of the send gate differ from the log",
    ),
    "a notification missed": (
        journal("ann", without(Received)),
        "ann received lease_expired of event 6",
    ),
    "the last notification missed": (journal("bob", without(Received, -1)), "bob received nothing"),
    "notifications out of order": (
        journal("bob", swapped(Received)),
        "bob received vote_cast of event 9",
    ),
    "a notification twice": (journal("bob", plus(RECEIVED_BY_BOB)), "expected nothing"),
    "a notification with other data": (
        journal(
            "bob", lambda entries: [*entries[:5], replace(RECEIVED_BY_BOB, data={}), *entries[6:]]
        ),
        "bob received vote_cast of event 9 {}",
    ),
    "a gap": (
        journal("bob", plus(received("bob", 9, 9, "gap", {"after": 0, "until": 9}))),
        "bob received gap",
    ),
    "an undetected loss": (journal("ann", without(Ended, -1)), "did not detect the loss"),
    "an agent that failed": (
        journal("bob", plus(Failed(at=1, agent="bob", error="KeyError: 'x'"))),
        "bob: KeyError",
    ),
    "an agent that did not recover": (journal("bob", without(Recovered)), "bob did not recover"),
    "an agent that recovered slowly": (
        journal("bob", plus(Recovered(at=1, agent="bob", seconds=31.0))),
        "took 31.0 s",
    ),
    "an agent that never connected": (journal("bob", without(Connected)), "bob never connected"),
}


@pytest.mark.parametrize("which", ERRORS)
def test_checker_names_each_planted_error(which: str) -> None:
    change, finding = ERRORS[which]
    findings = check_run(change(EVIDENCE))

    assert any(finding in one for one in findings), findings


def test_checker_accepts_a_second_hold_of_the_same_agent() -> None:
    """After a reconnect the agent gets the same lease or a new one: it is the same holder."""
    again = journal(
        "ann", plus(acquired("ann", 3, "L1", fence=2), relied_on("ann", 3.1, "L1", until=3.9))
    )

    assert check_run(again(EVIDENCE)) == []


def test_checker_ignores_a_lease_that_was_never_relied_on() -> None:
    idle = journal("ann", plus(acquired("ann", 5.5, "L1", fence=2)))

    assert check_run(idle(EVIDENCE)) == []


def test_checker_accepts_a_missing_notification_at_the_very_end() -> None:
    late = replace(journal("bob", without(Received, -1))(EVIDENCE), settled_sequence=9)

    assert check_run(late) == []
