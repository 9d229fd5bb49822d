"""What was acknowledged, believed and heard, against what the log says in the end.

* Acknowledged commands are in the log and nothing else is, as `tests/chaos/crash` has it.
* By the agents' own clocks, as the SDK would have counted, no two held one contact at one moment.
* Whoever followed the log heard every event, in order, once: who has seen 8 never sees a 7 that is
  new, and misses none. The same goes for the notifications of each agent.

Each finding is a sentence; what is as it should be gives none.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import attrgetter

import orjson

from quorate.client.lease_validity import believed_until
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX
from quorate.domain.shared.records import record
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import Acknowledged
from tests.chaos.fleet.fleet_checker import Due
from tests.chaos.replicas.listeners import Heard

OK = 200
SECONDS_PER_MINUTE = 60

# -- By the agents' own clocks -----------------------------------------------------


@record
class Belief:
    agent: str
    contact: str
    lease: str
    begin: float
    end: float


def held_by_two(answers: Sequence[Acknowledged], window_seconds: float) -> Iterator[str]:
    by_contact: dict[str, list[Belief]] = defaultdict(list)
    for belief in beliefs(answers, window_seconds):
        by_contact[belief.contact].append(belief)
    for contact, believed in by_contact.items():
        latest: dict[str, Belief] = {}  # Each agent's belief that ends last.
        for belief in sorted(believed, key=attrgetter("begin")):
            for other in latest.values():
                if other.agent != belief.agent and belief.begin < other.end:
                    both = f"{other.agent} ({other.lease}) and {belief.agent} ({belief.lease})"
                    yield f"{contact} was held by {both} for {other.end - belief.begin:.3f} s"
            known = latest.get(belief.agent)
            if known is None or known.end < belief.end:
                latest[belief.agent] = belief


def beliefs(answers: Sequence[Acknowledged], window_seconds: float) -> Iterator[Belief]:
    """From when each lease was granted to the last moment at which its agent would rely on it."""
    by_agent: dict[str, list[Acknowledged]] = defaultdict(list)
    for answer in sorted(answers, key=attrgetter("answered_at")):
        by_agent[answer.agent].append(answer)
    for said in by_agent.values():
        for answer in said:
            if (answer.what, answer.status) == ("acquire", OK):
                begin, end = answer.answered_at, _end(answer, said, window_seconds)
                if begin < end:
                    yield Belief(
                        agent=answer.agent,
                        contact=answer.asked["contactEmail"].lower(),
                        lease=answer.answer["id"],
                        begin=begin,
                        end=end,
                    )


def _end(granted: Acknowledged, said: Sequence[Acknowledged], window_seconds: float) -> float:
    seconds = granted.asked["durationMinutes"] * SECONDS_PER_MINUTE
    let_go = (
        answer.asked_at
        for answer in said
        if answer.what == "release"
        and answer.path.endswith(granted.answer["id"])
        and answer.asked_at >= granted.answered_at
    )
    return min(
        believed_until(granted.asked_at, seconds),
        _active_until(granted.answered_at, said, window_seconds),
        next(let_go, float("inf")),
    )


def _active_until(at: float, said: Sequence[Acknowledged], window_seconds: float) -> float:
    """Up to when the agent takes itself for active, without a break since ``at``."""
    until = float("-inf")
    for answer in said:
        if answer.what in {"register", "heartbeat"} and answer.status == OK:
            if answer.answered_at > max(at, until):
                break
            asked_at = answer.asked_at - window_seconds / HEARTBEATS_PER_WINDOW_MAX
            until = max(until, believed_until(asked_at, window_seconds))
    return until


# -- What was heard ----------------------------------------------------------------


@record
class Listened:
    """What one heard of a log, which it had the time to hear all of."""

    name: str
    heard: Sequence[Heard]
    agent_id: str | None = None  # None: it followed the log.


def due_to(listened: Listened, log: Sequence[RecordedEvent]) -> list[Heard]:
    return _notifications_due(listened.agent_id, log) if listened.agent_id else _events_due(log)


def unheard(listened: Listened, log: Sequence[RecordedEvent]) -> Iterator[str]:
    """The first thing that it heard too early, too late, twice or never."""
    later = {one.sequence: place for place, one in enumerate(listened.heard, start=1)}
    due = due_to(listened, log)
    for place, (wanted, got) in enumerate(zip_longest(due, listened.heard), start=1):
        if got == wanted:
            continue
        said = f"{listened.name} heard {_said(got)} as its number {place}"
        if wanted is not None and got is not None and wanted.sequence < got.sequence:
            when = later.get(wanted.sequence)
            when_heard = "never" if when is None else f"as number {when}"
            yield f"{said}, and {_said(wanted)} {when_heard}"
        else:
            yield f"{said}, due was {_said(wanted)}"
        return


def _events_due(log: Sequence[RecordedEvent]) -> list[Heard]:
    return [Heard(sequence=event.sequence, id=event.id, name=event.type) for event in log]


def _notifications_due(agent_id: str, log: Sequence[RecordedEvent]) -> list[Heard]:
    """Whom an event concerns is a rule of the domain, and taken from there."""
    ids = {event.sequence: event.id for event in log}
    told = Due([_facts(event) for event in log]).to(agent_id)
    return [Heard(sequence=sequence, id=ids[sequence], name=name) for sequence, name, _ in told]


def _facts(event: RecordedEvent) -> Mapping[str, object]:
    return {"sequence": event.sequence, "type": event.type, "data": orjson.loads(event.data)}


def _said(heard: Heard | None) -> str:
    return "nothing" if heard is None else f"{heard.name} at {heard.sequence}"
