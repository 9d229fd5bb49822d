"""Which part of the log the explanation of an event needs: streams, and instances in them."""

from collections.abc import Iterator, Sequence
from typing import Any

from quorate.domain.coordination.leases import LeaseAcquired
from quorate.domain.explanations.records import History, LoggedEvent
from quorate.domain.identity.agents import name_key
from quorate.domain.mail.deliveries import MessageRefused
from quorate.domain.registry import stream_of

ELECTORATE_EXPLAINED_MAX = 30  # Members whose heartbeats are looked up.
LEASES_EXPLAINED_MAX = 3  # The last ones of a contact; earlier ones have ended.
_AGENT_FIELDS = ("agent_id", "holder_id", "worker_id", "spawner_id", "cancelled_by")
_STREAMS = {
    "contact_key": "lease-{}",
    "message_id": "message-{}",
    "task_id": "task-{}",
    "parent_id": "task-{}",
    "request_id": "consensus-{}",
}


def streams_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return the streams that a rule may have looked at, the event's own first."""
    return tuple(dict.fromkeys([stream_of(event), *_related(event)]))


def agents_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return the agents on whose registration a rule may have depended."""
    named = [getattr(event, field, None) for field in _AGENT_FIELDS]
    electorate = getattr(event, "electorate", ())
    if isinstance(electorate, tuple) and len(electorate) <= ELECTORATE_EXPLAINED_MAX:
        named += electorate
    return tuple(dict.fromkeys([one for one in named if one is not None]))


def names_of(event: Any) -> tuple[str, ...]:  # noqa: ANN401 - an event of any aggregate.
    """Return names of agents whose mailbox a rule may have looked at, in lower case."""
    if not isinstance(event, MessageRefused):
        return ()
    return (name_key(event.address.partition("@")[0]),)


def _related(event: Any) -> Iterator[str]:  # noqa: ANN401 - an event of any aggregate.
    for field, stream in _STREAMS.items():
        if (id_ := getattr(event, field, None)) is not None:
            yield stream.format(id_)
    for agent_id in agents_of(event):
        name = agent_id.removeprefix("agent_")
        yield f"agent-{name}"
        if hasattr(event, "message_id"):
            yield f"mailbox-{name}"


def select_instances(history: History, decision: LoggedEvent) -> Sequence[LoggedEvent]:
    """Leave out other streams, and the other leases of the contact, which had ended before."""
    event = decision.event
    if not names_of(event):
        streams = frozenset(streams_of(event))
        history = [one for one in history if stream_of(one.event) in streams]
    acquired = [one.event for one in history if isinstance(one.event, LeaseAcquired)]
    lease_id = getattr(event, "lease_id", None)
    fence = getattr(event, "fence", None)
    if lease_id is not None:
        kept = {lease_id}
    else:
        kept = {one.lease_id for one in acquired[-LEASES_EXPLAINED_MAX:]}
        kept |= {one.lease_id for one in acquired if one.fence == fence}
    return [one for one in history if getattr(one.event, "lease_id", None) in {None, *kept}]
