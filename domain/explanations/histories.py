"""Which part of the log the explanation of an event needs: streams, and instances in them."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from quorate.domain.coordination.leases import LeaseAcquired
from quorate.domain.explanations.records import History, LoggedEvent
from quorate.domain.explanations.reputations import OUTCOMES
from quorate.domain.identity.agents import AgentRegistered, name_key
from quorate.domain.mail.accounts import MAIL_ACCOUNTS, MailSendingFrozen
from quorate.domain.mail.deliveries import MessageRefused
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES
from quorate.domain.registry import stream_of
from quorate.domain.sessions.task_events import (
    TaskClaimed,
    TaskClaimEnded,
    TaskClaimRenewed,
    TaskCompleted,
    TaskContentErased,
    TaskErased,
)
from quorate.domain.shared.records import record

ELECTORATE_EXPLAINED_MAX = 30  # Members whose heartbeats are looked up.
LEASES_EXPLAINED_MAX = 3  # The last ones of a contact; earlier ones have ended.
MAILBOX_STREAM = "mailbox-"
# Of a mailbox, only what concerns its account decides; the rest is one event for each message.
MAILBOX_TYPES = tuple([one.__name__ for one in MAIL_ACCOUNTS.events])
CLAIMS_EXPLAINED_MAX = 3  # The same for the claims on a task.
_AGENT_FIELDS = (
    *("agent_id", "holder_id", "worker_id", "spawner_id", "sender_id", "cancelled_by"),
)
_AGENT_ID_PREFIX = "agent_"
_STREAMS = {
    "contact_key": "lease-{}",
    "message_id": "message-{}",
    "task_id": "task-{}",
    "parent_id": "task-{}",
    "request_id": "consensus-{}",
}


@record
class Others:
    """Events outside the streams of a decision: those of some types that have an id in a field."""

    types: tuple[type[Any], ...]
    field: str
    id: str

    def has(self, event: Any) -> bool:  # noqa: ANN401 - an event of any aggregate.
        return isinstance(event, self.types) and getattr(event, self.field) == self.id


def others_of(event: Any) -> Others | None:  # noqa: ANN401 - an event of any aggregate.
    """Return the events of other streams that a rule counts; most count none."""
    if isinstance(event, MailSendingFrozen) and event.reason == "reputation":
        return Others(types=OUTCOMES, field="agent_id", id=event.agent_id)
    if isinstance(event, TaskErased | TaskContentErased):  # Its result has a stream of its own.
        return Others(types=(TaskCompleted,), field="task_id", id=event.task_id)
    return None


def streams_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return the streams that a rule may have looked at, the event's own first."""
    return tuple(dict.fromkeys([stream_of(event), *_related(event)]))


def agents_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return the agents on whose registration a rule may have depended."""
    named = [getattr(event, field, None) for field in _AGENT_FIELDS]
    named += [one for one in names_of(event) if one.startswith(_AGENT_ID_PREFIX)]
    electorate = getattr(event, "electorate", ())
    if isinstance(electorate, tuple) and len(electorate) <= ELECTORATE_EXPLAINED_MAX:
        named += electorate
    return tuple(dict.fromkeys([one for one in named if one is not None]))


def names_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return names of agents whose mailbox a rule may have looked at, in lower case."""
    if not isinstance(event, MessageRefused):
        return ()
    return (name_key(event.address.rpartition("@")[0]),)


def _related(event: Any) -> Iterator[str]:  # noqa: ANN401 - an event of any aggregate.
    for field, stream in _STREAMS.items():
        if (id_ := getattr(event, field, None)) is not None:
            yield stream.format(id_)
    for agent_id in agents_of(event):
        yield from streams_of_agent(agent_id, has_mail=hasattr(event, "message_id"))


def streams_of_agent(agent_id: str, *, has_mail: bool) -> Iterator[str]:
    name = agent_id.removeprefix(_AGENT_ID_PREFIX)
    yield f"agent-{name}"
    if has_mail:
        yield f"{MAILBOX_STREAM}{name}"


def select_instances(history: History, decision: LoggedEvent) -> Sequence[LoggedEvent]:
    """Leave out other streams, and earlier leases and claims, which had ended before."""
    event = decision.event
    others = others_of(event)
    streams = {*streams_of(event)}
    for named in _agents_named(history, names_of(event)):
        streams |= {*streams_of_agent(named, has_mail=True)}
    history = [
        one
        for one in history
        if (stream_of(one.event) in streams and not _is_of_mailbox(one.event))
        or (others is not None and others.has(one.event))
    ]
    return _without_early_claims(_without_early_leases(history, event))


def _is_of_mailbox(event: Any) -> bool:  # noqa: ANN401 - an event of any aggregate.
    """Return whether an event is about one message in a mailbox, and decides of no other one."""
    return isinstance(event, MAIL_ENTRIES.events)


def _agents_named(history: History, names: Container[str]) -> Iterator[str]:
    """Yield the agents that registered with one of these names."""
    for one in history:
        if isinstance(one.event, AgentRegistered) and name_key(one.event.agent_name) in names:
            yield one.event.agent_id


def _without_early_leases(history: History, event: Any) -> History:  # noqa: ANN401 - of any aggregate.
    acquired = [one.event for one in history if isinstance(one.event, LeaseAcquired)]
    lease_id = getattr(event, "lease_id", None)
    fence = getattr(event, "fence", None)
    if lease_id is not None:
        kept = {lease_id}
    else:
        kept = {one.lease_id for one in acquired[-LEASES_EXPLAINED_MAX:]}
        kept |= {one.lease_id for one in acquired if one.fence == fence}
    return [one for one in history if getattr(one.event, "lease_id", None) in {None, *kept}]


def _without_early_claims(history: History) -> History:
    fences: dict[str, list[int]] = {}
    for one in history:
        if isinstance(one.event, TaskClaimed):
            fences.setdefault(one.event.task_id, []).append(one.event.fence)
    kept = {fence for found in fences.values() for fence in found[-CLAIMS_EXPLAINED_MAX:]}
    return [
        one
        for one in history
        if not isinstance(one.event, TaskClaimed | TaskClaimRenewed | TaskClaimEnded)
        or one.event.fence in kept
    ]
