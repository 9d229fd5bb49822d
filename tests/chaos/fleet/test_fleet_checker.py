"""The inquest gives no finding for papers that are as they should be, and one for each wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from quorate.eventlog.hash_chain import GENESIS, link
from tests.chaos.fleet.diary import (
    Began,
    Ended,
    Entry,
    Failed,
    Heard,
    Held,
    Recovered,
    Relied,
    Sent,
)
from tests.chaos.fleet.fleet_checker import Papers, Stopped, inquest

Json: TypeAlias = dict[str, Any]
Wrong: TypeAlias = Callable[[Papers], Papers]

ANN, BOB = "agent_a", "agent_b"
KIM, MAX = "kim@example.com", "max@example.com"
SECOND = 1_000_000_000


def at(second: float) -> str:
    return f"2026-03-01T12:00:{second:06.3f}Z"


def chained(*told: tuple[float, str, Json]) -> list[Json]:
    """A log as the API would tell it: numbered, and each event linked to the one before."""
    log: list[Json] = []
    previous = GENESIS.hash
    for sequence, (second, type_, data) in enumerate(told, start=1):
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
    """Forged from top to bottom, so that only what it says can give it away."""
    return chained(*((float(one["at"][17:23]), one["type"], one["data"]) for one in log))


def contact(email: str, **more: Any) -> Json:  # noqa: ANN401 - whatever an event may hold.
    return {"contactKey": email, "contactEmail": email, **more}


CONFLICT: Json = contact(
    KIM, leaseId="L1", agentId=BOB, agentName="bob", intent="", holderId=ANN, holderName="ann"
) | {"expiresAt": at(4)}
BOTH_HEAR: Json = contact(
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


def heard(agent: str, second: float, sequence: int, name: str, data: Json) -> Heard:
    stamp = round(second * SECOND)
    return Heard(at=stamp, agent=agent, sequence=sequence, name=name, data=data)


def began(agent: str, agent_id: str, second: int, after: int) -> Began:
    return Began(
        at=second * SECOND, agent=agent, agent_id=agent_id, incarnation=second + 1, after=after
    )


def held(agent: str, second: float, lease: str, fence: int) -> Held:
    stamp = round(second * SECOND)
    return Held(at=stamp, agent=agent, lease=lease, contact=KIM, fence=fence)


def relied(agent: str, second: float, lease: str, until: float) -> Relied:
    stamp = round(second * SECOND)
    return Relied(at=stamp, agent=agent, lease=lease, until=round(until * SECOND))


ANNS: Sequence[Entry] = [
    began("ann", ANN, 0, after=0),
    held("ann", 1.1, "L1", fence=2),
    relied("ann", 1.2, "L1", until=2.9),
    relied("ann", 2.1, "L1", until=3.9),
    Sent(at=2 * SECOND, agent="ann", contact=KIM, fence=2, send="S1", authorized=True),
    heard("ann", 3.1, 5, "lease_conflict", BOTH_HEAR),
    Ended(at=6 * SECOND, agent="ann", lease="L1", how="let go"),
    Ended(at=6 * SECOND, agent="ann", lease="L1", how="lost"),
    heard("ann", 6.1, 6, "lease_expired", EXPIRED),
    began("ann", ANN, 7, after=6),
    heard("ann", 7.1, 9, "vote_cast", VOTED),
    Sent(at=8 * SECOND, agent="ann", contact=KIM, fence=2, send="S0", authorized=False),
    Recovered(at=9 * SECOND, agent="ann", seconds=1.0),
]
SENT_BY_BOB = Sent(at=6 * SECOND, agent="bob", contact=KIM, fence=7, send="S2", authorized=True)
HEARD_BY_BOB = heard("bob", 6.2, 9, "vote_cast", VOTED)
BOBS: Sequence[Entry] = [
    began("bob", BOB, 0, after=0),
    heard("bob", 3.1, 5, "lease_conflict", BOTH_HEAR),
    held("bob", 5.1, "L2", fence=7),
    relied("bob", 5.2, "L2", until=8.9),
    SENT_BY_BOB,
    HEARD_BY_BOB,
    Ended(at=7 * SECOND, agent="bob", lease="L2", how="let go"),
    heard("bob", 7.1, 10, "lease_released", RELEASED),
    Recovered(at=9 * SECOND, agent="bob", seconds=1.0),
]
PAPERS = Papers(
    diaries={"ann": ANNS, "bob": BOBS},
    log=LOG,
    settled=len(LOG),
    stopped=[Stopped(agent="ann", lease="L1", at=3 * SECOND)],
    killed=["service"],
)


def test_papers_that_are_right_give_no_finding() -> None:
    assert inquest(PAPERS) == []


# -- What may be wrong -----------------------------------------------------------


def diary(name: str, change: Callable[[list[Entry]], list[Entry]]) -> Wrong:
    def wrong(papers: Papers) -> Papers:
        changed = change(list(papers.diaries[name]))
        return replace(papers, diaries={**papers.diaries, name: changed})

    return wrong


def without(kind: type[Entry], place: int = 0) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        entries.remove([one for one in entries if isinstance(one, kind)][place])
        return entries

    return change


def plus(*more: Entry) -> Callable[[list[Entry]], list[Entry]]:
    return lambda entries: [*entries, *more]


def event(sequence: int, /, *, second: float | None = None, **data: Any) -> Wrong:  # noqa: ANN401
    """One event says something else, and the chain is forged to match."""

    def wrong(papers: Papers) -> Papers:
        log = [dict(one) for one in papers.log]
        changed = log[sequence - 1]
        changed["data"] = changed["data"] | data
        if second is not None:
            changed["at"] = at(second)
        return replace(papers, log=rechained(log))

    return wrong


def told_as(sequence: int, type_: str) -> Wrong:
    def wrong(papers: Papers) -> Papers:
        log = [dict(one) for one in papers.log]
        log[sequence - 1]["type"] = type_
        return replace(papers, log=rechained(log))

    return wrong


def without_event(sequence: int) -> Wrong:
    return lambda papers: replace(
        papers, log=[one for one in papers.log if one["sequence"] != sequence]
    )


def forged(papers: Papers) -> Papers:
    log = [dict(one) for one in papers.log]
    log[8]["data"] = log[8]["data"] | {"vote": "reject"}
    return replace(papers, log=log)


def swapped(kind: type[Entry]) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        first, second = [at for at, one in enumerate(entries) if isinstance(one, kind)][:2]
        entries[first], entries[second] = entries[second], entries[first]
        return entries

    return change


def heedless(entries: list[Entry]) -> list[Entry]:
    """It never asked whether the lease still stands, and went on."""
    kept = [one for one in entries if not isinstance(one, Ended)]
    return [*kept, Relied(at=6 * SECOND, agent="ann", lease="L1", until=6 * SECOND)]


def optimistic(entries: list[Entry]) -> list[Entry]:
    """Its own deadline lies after the service's, though it never came to use the difference."""
    return [replace(one, until=9 * SECOND) if isinstance(one, Relied) else one for one in entries]


def stale(send: str, fence: int) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        return [
            replace(one, fence=fence) if isinstance(one, Sent) and one.send == send else one
            for one in entries
        ]

    return change


PLANTED: Mapping[str, tuple[Wrong, str]] = {
    "a deadline ignored": (diary("ann", heedless), "was held by ann (L1) and bob (L2)"),
    "a deadline too late": (
        diary("ann", lambda entries: optimistic(without(Ended)(without(Ended)(entries)))),
        "was held by ann (L1) and bob (L2)",
    ),
    "an event missing": (without_event(6), "does not hold together"),
    "the last events missing": (
        lambda papers: replace(papers, log=papers.log[:8]),
        "ann heard vote_cast of event 9",
    ),
    "a lease cut short": (event(3, expiresAt=at(2.5)), "makes a lease shorter"),
    "an event forged": (forged, "does not hold together"),
    "a contact given away": (told_as(6, "AgentLapsed"), "gives away what another holds"),
    "an end too early": (event(6, second=3.5), "comes before its time"),
    "an end of nothing": (event(6, leaseId="L9"), "ends a lease that nobody has"),
    "a renewal too late": (event(3, second=3.5), "renews what is over"),
    "a fence that fell": (event(7, fence=1), "is not the highest"),
    "a send by nobody": (event(8, agentId=ANN), "the sender held nothing"),
    "a send after the end": (event(4, contactKey=MAX), "the sender held nothing"),
    "a stale fence": (diary("bob", stale("S2", 2)), "under the stale fence 2"),
    "a lower fence": (diary("bob", stale("S2", 1)), "after a higher fence than 1"),
    "a send that was not": (
        diary("bob", plus(replace(SENT_BY_BOB, send="S9"))),
        "the gate's answers are not those of the log",
    ),
    "a notification missed": (diary("ann", without(Heard)), "ann heard lease_expired of event 6"),
    "the last notification missed": (diary("bob", without(Heard, -1)), "bob heard nothing"),
    "notifications out of order": (diary("bob", swapped(Heard)), "bob heard vote_cast of event 9"),
    "a notification twice": (diary("bob", plus(HEARD_BY_BOB)), "due was nothing"),
    "a notification that says else": (
        diary("bob", lambda entries: [*entries[:5], replace(HEARD_BY_BOB, data={}), *entries[6:]]),
        "bob heard vote_cast of event 9 {}",
    ),
    "a gap": (
        diary("bob", plus(heard("bob", 9, 9, "gap", {"after": 0, "until": 9}))),
        "bob heard gap",
    ),
    "a loss not noticed": (diary("ann", without(Ended, -1)), "never found out"),
    "an agent that failed": (
        diary("bob", plus(Failed(at=1, agent="bob", what="KeyError: 'x'"))),
        "bob: KeyError",
    ),
    "an agent that stayed away": (diary("bob", without(Recovered)), "bob did not work again"),
    "an agent that took long": (
        diary("bob", plus(Recovered(at=1, agent="bob", seconds=31.0))),
        "took 31.0 s",
    ),
    "an agent that never began": (diary("bob", without(Began)), "bob never began"),
}


@pytest.mark.parametrize("which", PLANTED)
def test_each_wrong_is_found_for_what_it_is(which: str) -> None:
    wrong, finding = PLANTED[which]
    findings = inquest(wrong(PAPERS))

    assert any(finding in one for one in findings), findings


def test_the_same_agent_may_hold_again_at_once() -> None:
    """Its next life is given the same lease, or a new one; who holds it is still one agent."""
    again = diary("ann", plus(held("ann", 3, "L1", fence=2), relied("ann", 3.1, "L1", until=3.9)))

    assert inquest(again(PAPERS)) == []


def test_a_lease_that_nobody_came_to_rely_on_is_no_hold() -> None:
    idle = diary("ann", plus(held("ann", 5.5, "L1", fence=2)))

    assert inquest(idle(PAPERS)) == []


def test_what_was_told_at_the_very_end_may_still_be_on_its_way() -> None:
    late = replace(diary("bob", without(Heard, -1))(PAPERS), settled=9)

    assert inquest(late) == []
