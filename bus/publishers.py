"""One FastStream publisher for each notification, and one for the events of the log.

* A publisher names the subject, the model and the summary, for the AsyncAPI document.
* The relay sends these messages, not the publishers (bus/outbox/notification_publisher.py). The
  relay moves its cursor after the server has read the messages, and repeats them after an outage.
  It needs a connection that ends instead of reconnecting, and sends in batches.
"""

from collections.abc import Mapping
from typing import Any, Literal

from faststream.nats import NatsBroker
from faststream.nats.publisher.usecase import LogicPublisher
from pydantic import BaseModel, create_model
from pydantic.alias_generators import to_pascal

from quorate.bus.subjects import LOG, TO_AGENT, TO_ALL, Family
from quorate.contracts.event_log import EventInfo
from quorate.contracts.notifications import (
    NOTIFICATION_TYPES,
    PREFIX,
    NotificationEvent,
    Omitted,
)
from quorate.domain.registry import EVENT_TYPES
from quorate.domain.shared.records import record


@record
class PublishedMessage:
    """A kind of message that the service publishes: its subjects, its data and its summary."""

    name: str
    family: Family
    summary: str
    description: str = ""

    @property
    def data(self) -> Any:  # noqa: ANN401 - a model or a TypedDict.
        return EventInfo if self.name == LOG_NAME else NOTIFICATION_TYPES[self.name]

    @property
    def types(self) -> tuple[str, ...]:
        """The types of its CloudEvents."""
        names = tuple(EVENT_TYPES) if self.name == LOG_NAME else (self.name,)
        return tuple(f"{PREFIX}{name}" for name in names)

    @property
    def subject_template(self) -> str:
        name = "{event_type}" if self.name == LOG_NAME else self.name
        return self.family.template.format(tenant="{tenant}", agent_id="{agent_id}", name=name)


LOG_NAME = "log"
NOTIFICATIONS = (
    PublishedMessage(
        name="lease_conflict",
        family=TO_AGENT,
        summary="Receive lease conflicts",
        description="The service rejected a lease request. The holder and the requester get it.",
    ),
    PublishedMessage(
        name="lease_available",
        family=TO_AGENT,
        summary="Receive available contacts",
        description="A contact that the agent requested in vain is free again.",
    ),
    PublishedMessage(
        name="lease_released",
        family=TO_AGENT,
        summary="Receive lease releases",
        description="The agent's lease was released, by any process of the agent.",
    ),
    PublishedMessage(
        name="lease_expired",
        family=TO_AGENT,
        summary="Receive lease expirations",
        description="The agent's lease has expired.",
    ),
    PublishedMessage(
        name="lease_revoked",
        family=TO_AGENT,
        summary="Receive lease revocations",
        description="The agent's lease was revoked: the agent timed out or deregistered, or an "
        "operator ended the lease.",
    ),
    PublishedMessage(
        name="send_blocked",
        family=TO_AGENT,
        summary="Receive blocked sends",
        description="The send gate blocked a request. The agent and any lease holder receive it.",
    ),
    PublishedMessage(
        name="agent_registered",
        family=TO_ALL,
        summary="Receive agent registrations",
        description="A new agent was registered.",
    ),
    PublishedMessage(
        name="agent_lapsed",
        family=TO_ALL,
        summary="Receive agent timeouts",
        description="An agent missed its heartbeat timeout, or an operator deactivated it. Its "
        "leases are revoked.",
    ),
    PublishedMessage(
        name="agent_deregistered",
        family=TO_ALL,
        summary="Receive agent deregistrations",
        description="An agent left. Its leases are revoked, and it counts in no electorate.",
    ),
    PublishedMessage(
        name="consensus_requested",
        family=TO_ALL,
        summary="Receive consensus proposals",
        description="An agent created a proposal.",
    ),
    PublishedMessage(
        name="vote_cast",
        family=TO_ALL,
        summary="Receive votes",
        description="An agent cast a vote.",
    ),
    PublishedMessage(
        name="consensus_decided",
        family=TO_ALL,
        summary="Receive consensus decisions",
        description="A proposal was approved or rejected.",
    ),
    PublishedMessage(
        name="consensus_expired",
        family=TO_ALL,
        summary="Receive expired proposals",
        description="A proposal reached its timeout without a decision.",
    ),
    PublishedMessage(
        name="consensus_cancelled",
        family=TO_ALL,
        summary="Receive cancelled proposals",
        description="The proposer or a tenant key cancelled a proposal.",
    ),
    PublishedMessage(
        name="message_received",
        family=TO_AGENT,
        summary="Receive mail",
        description="A message is in the agent's inbox. A text of up to 16 KiB is included.",
    ),
    PublishedMessage(
        name="message_status",
        family=TO_AGENT,
        summary="Receive the status of sent mail",
        description="A message of the agent was read, acknowledged, blocked or not delivered.",
    ),
    PublishedMessage(
        name="acknowledgement_due",
        family=TO_AGENT,
        summary="Receive reminders of missing acknowledgements",
        description="A message that requires an acknowledgement has none from the agent yet.",
    ),
    PublishedMessage(
        name="session_message",
        family=TO_AGENT,
        summary="Receive messages of sessions",
        description="A message is in a session of the agent, or answers a message of the agent.",
    ),
    PublishedMessage(
        name="session_read",
        family=TO_AGENT,
        summary="Receive reads of messages of sessions",
        description="The owner of a session read a message of the agent.",
    ),
    PublishedMessage(
        name="task_offered",
        family=TO_ALL,
        summary="Receive offered tasks",
        description="Workers may claim a task.",
    ),
    PublishedMessage(
        name="task_progress",
        family=TO_AGENT,
        summary="Receive progress",
        description="A worker reports progress on a task of the agent.",
    ),
    PublishedMessage(
        name="task_input_required",
        family=TO_AGENT,
        summary="Receive questions of workers",
        description="A worker asks something about a task of the agent.",
    ),
    PublishedMessage(
        name="task_finished",
        family=TO_AGENT,
        summary="Receive the end of tasks",
        description="A task of the agent was completed, failed or was cancelled.",
    ),
    PublishedMessage(
        name="task_cancelled",
        family=TO_AGENT,
        summary="Receive cancelled work",
        description="A task that the agent works on was cancelled, or its time is over.",
    ),
    PublishedMessage(
        name="list_item_changed",
        family=TO_AGENT,
        summary="Receive changes of task lists",
        description="A task changed in a list that the agent follows, or that it had claimed.",
    ),
    PublishedMessage(
        name="schedule_fired",
        family=TO_AGENT,
        summary="Receive occurrences of schedules",
        description="A schedule of the agent sent its turn.",
    ),
)

# Events of the log, each on the subject of its type.
LOG_EVENTS = PublishedMessage(
    name=LOG_NAME,
    family=LOG,
    summary="Receive the events of the tenant's log",
    description="The service publishes each event after it is committed.",
)
PUBLISHED = (*NOTIFICATIONS, LOG_EVENTS)


def add_publishers(broker: NatsBroker) -> Mapping[str, LogicPublisher]:
    """Add the publishers to the broker and return them by name."""
    return {
        message.name: broker.publisher(
            message.subject_template,
            title=message.name,
            description=message.description,
            schema=event_model(message),
        )
        for message in PUBLISHED
    }


def event_model(message: PublishedMessage) -> type[BaseModel]:
    """Return the model of the CloudEvent: its type, and its data or a placeholder."""
    name = "LogEntry" if message.name == LOG_NAME else f"{to_pascal(message.name)}Notification"
    fields: dict[str, Any] = {
        "type": (Literal[message.types], ...),
        "data": (message.data | Omitted, ...),
    }
    return create_model(name, __base__=NotificationEvent, __doc__=message.description, **fields)
