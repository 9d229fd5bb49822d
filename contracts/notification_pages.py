"""An agent's notifications over HTTP: pages, long polls, and a stream of server-sent events."""

from typing import Any, Literal

from pydantic import Field

from quorate.contracts.event_log import CursorQuery, GapInfo, StreamQuery
from quorate.contracts.operations import Operation
from quorate.contracts.problems import LogMismatch, TooManyStreams
from quorate.contracts.roles import CAN_ACT
from quorate.contracts.wire_models import (
    PAGE_LENGTH_DEFAULT,
    AgentId,
    AgentName,
    PageLength,
    Query,
    ResponseModel,
    Sequence,
    Time,
    Wait,
    optional,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound

NOTIFICATIONS = "/v1/agent/notifications"


class AgentNotificationsQuery(Query):
    """A query for one agent, given by id or by name. An agent key may omit both."""

    agent_id: AgentId | None = Field(default=None, description="Agent id.")
    agent_name: AgentName | None = Field(
        default=None, description="Agent name, as an alternative to the id."
    )


class NotificationsQuery(AgentNotificationsQuery, CursorQuery):
    after: Sequence = Field(
        default=0, description="Sequence of the last notification you received."
    )
    limit: PageLength = PAGE_LENGTH_DEFAULT
    wait: Wait = Field(
        default=0.0,
        description="Seconds to wait for a notification if none is available (long poll).",
    )


class NotificationsStreamQuery(AgentNotificationsQuery, StreamQuery):
    pass


class NotificationInfo(ResponseModel):
    """A notification as published over NATS (CloudEvents 1.0); ``data`` depends on ``type``."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: Time
    datacontenttype: Literal["application/json"]
    sequence: int
    data: dict[str, Any]


class NotificationsInfo(ResponseModel):
    """A page of notifications. Send ``next`` as ``after`` until ``next == head``.

    ``logId`` identifies the log; send it back with ``after``.
    """

    notifications: list[NotificationInfo]
    next: int
    head: int
    gap: GapInfo | None
    log_id: str | None = optional()


LIST_NOTIFICATIONS = Operation(
    method="GET",
    path=NOTIFICATIONS,
    name="listNotifications",
    summary="List an agent's notifications",
    description="With `wait`, the request waits until a notification is available.",
    roles=CAN_ACT,
    query=NotificationsQuery,
    response=NotificationsInfo,
    errors=(AgentNotFound, ActingAsAnother, LogMismatch, TooManyStreams),
)
STREAM_NOTIFICATIONS: Operation[None] = Operation(
    method="GET",
    path=NOTIFICATIONS + "/stream",
    name="streamNotifications",
    summary="Stream an agent's notifications",
    description="The response is a stream of server-sent events.",
    roles=CAN_ACT,
    query=NotificationsStreamQuery,
    errors=(AgentNotFound, ActingAsAnother, LogMismatch, TooManyStreams),
    streams=True,
)
OPERATIONS = (LIST_NOTIFICATIONS, STREAM_NOTIFICATIONS)
