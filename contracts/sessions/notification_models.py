"""The notifications of sessions, tasks, task lists and schedules."""

from typing import Any

from quorate.contracts.notification_data import MailNotificationData
from quorate.contracts.wire_models import Time
from quorate.domain.sessions.list_items import ReleaseReason
from quorate.domain.sessions.list_notifications import Change
from quorate.domain.sessions.session_messages import SessionRole
from quorate.domain.sessions.task_events import InputKind
from quorate.domain.sessions.task_states import State

# -- Sessions ----------------------------------------------------------------


class SessionMessage(MailNotificationData):
    """A message in a session of the agent, or an answer to a message that it sent.

    `is_reply`: it is the answer of the session's owner. `context` is a label of the sender.
    `content` is null if it is longer than 16 KiB, or erased: read the history of the session.
    """

    session_key: str
    message_id: str
    index: int
    role: SessionRole
    from_agent_id: str | None = None
    context: str | None = None
    in_reply_to: str | None = None
    is_reply: bool
    model: str | None = None
    content: Any = None


class SessionRead(MailNotificationData):
    """The owner of a session read a message that the agent sent."""

    session_key: str
    message_id: str
    index: int
    by_agent_id: str


# -- Tasks -------------------------------------------------------------------


class TaskOffered(MailNotificationData):
    """Workers may claim a task. `preset` is `-` for a task that names none."""

    task_id: str
    preset: str


class TaskProgress(MailNotificationData):
    """The worker reports. `output_id` names a partial output that is ready."""

    task_id: str
    worker_id: str
    percent: int | None = None
    message: str | None = None
    output_id: str | None = None


class TaskInputRequired(MailNotificationData):
    """The worker asks something, or needs an authorization (`kind` is `auth`)."""

    task_id: str
    worker_id: str
    input_id: str
    kind: InputKind


class TaskFinished(MailNotificationData):
    """A task of the agent has ended. `error` says why it failed."""

    task_id: str
    state: State
    reason: str | None = None
    error: str | None = None


class TaskCancelled(MailNotificationData):
    """The agent's claim with this `fence` has ended: stop working on the task."""

    task_id: str
    fence: int
    reason: str


# -- Task lists --------------------------------------------------------------


class ListItemChanged(MailNotificationData):
    """A task of a list changed. `id` is its number in the list, `version` that after the change.

    `by_agent_id` is null where the service made the change. `owner_id` and `reason` are those of a
    claim that began or ended.
    """

    change: Change
    list_id: str
    id: str
    item_id: str
    subject: str
    version: int
    by_agent_id: str | None = None
    owner_id: str | None = None
    reason: ReleaseReason | None = None


class ScheduleFired(MailNotificationData):
    """An occurrence of a schedule of the agent. It sent `message_id`, or submitted `task_id`."""

    schedule_id: str
    name: str | None = None
    occurrence_at: Time
    next_at: Time | None = None
    session_key: str | None = None
    message_id: str | None = None
    preset: str | None = None
    task_id: str | None = None
