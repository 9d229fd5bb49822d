"""Publish the notifications of committed events, in order and at least once.

* The cursor moves over a row only after its notifications are sent.
* A server that crashes loses messages that it had not delivered. After an outage the publisher
  therefore repeats everything since REPLAY_SECONDS before it. Repeated messages have the same id
  and the same bytes, so that receivers recognize duplicates.
* The bodies of messages are read when they are published, so that none is sent after its erasure.
* NATS stores no notifications for disconnected clients. After an outage the publisher first waits
  for the clients of before to reconnect, at most RECONNECT_GRACE_SECONDS.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol, TypeAlias, assert_never

import structlog

from quorate.bus import cloudevents, subjects
from quorate.bus.connection import Connection
from quorate.bus.outbox.log_tail import Follower, LogTail
from quorate.domain.registry import NOTIFYING_EVENTS
from quorate.domain.shared.notifications import Notification, ToAgent, ToAll
from quorate.eventlog.recorded_event import RecordedEvent

RECONNECT_GRACE_SECONDS = 5.0
REPLAY_SECONDS = 10.0
MARK_SECONDS = 0.5
# A silent server is detected late, so marks reach back further than the replay.
MARKS_KEPT_SECONDS = 2 * REPLAY_SECONDS
HEADER_BYTES_MAX = 512  # Of the publisher's headers; the server counts them as message bytes.

CommitListener: TypeAlias = Callable[[RecordedEvent], None]
PublishListener: TypeAlias = Callable[[RecordedEvent, int, int], None]
# Returns the same events, those of messages with their bodies.
AddBodies: TypeAlias = Callable[[Sequence[RecordedEvent]], Awaitable[Sequence[RecordedEvent]]]

log = structlog.get_logger(__name__)


class Audience(Protocol):
    """The clients that receive notifications; ``ConnectedKeys`` implements it."""

    async def wait_until_reconnected(self, seconds_max: float) -> bool: ...


class NotificationPublisher:
    def __init__(
        self,
        tail: LogTail,
        audience: Audience,
        commit_listener: CommitListener,
        on_published: PublishListener | None = None,
        add_bodies: AddBodies | None = None,
    ) -> None:
        self._tail = tail
        self._audience = audience
        self._commit_listener = commit_listener
        self._on_published = on_published
        self._add_bodies = add_bodies
        self._marks: deque[tuple[float, int]] = deque()
        self._started = asyncio.Event()
        self._is_reconnect = False
        self._published_at = 0.0
        self.position = 0  # Everything up to here is published.

    @property
    def has_started(self) -> bool:
        return self._started.is_set()

    def start(self, position: int) -> None:
        """Set the start position of this process; later calls change nothing."""
        if not self.has_started:
            self.position = position
            self._marks.append((time.monotonic(), position))
            self._started.set()

    async def run(
        self, connection: Connection, follower: Follower, on_progress: Callable[[], None]
    ) -> NoReturn:
        await self._started.wait()
        if self._is_reconnect and not await self._audience.wait_until_reconnected(
            RECONNECT_GRACE_SECONDS
        ):
            log.info("nats.reconnect_incomplete", waited_seconds=RECONNECT_GRACE_SECONDS)
        self._is_reconnect = True
        while True:
            rows = await self._tail.after(self.position)
            if not rows:
                await follower.wait()
                continue
            if self._add_bodies is not None:
                rows = await self._add_bodies(rows)
            published = 0
            for row in rows:
                published += await self._publish(connection, row)
            self.position = rows[-1].position
            self._mark()
            on_progress()
            if published:
                await connection.flush()  # Limits the buffered messages to one batch.

    def rewind(self, alive_at: float) -> None:
        """Go back to the last position that a server alive at ``alive_at`` has surely delivered."""
        certain = alive_at - REPLAY_SECONDS
        if not self.has_started or self._published_at <= certain:
            return
        self.position = self._marks[0][1]
        for at, position in self._marks:
            if at <= certain:
                self.position = position
        while self._marks[-1][1] > self.position:
            self._marks.pop()

    def _mark(self) -> None:
        now = self._published_at = time.monotonic()
        if self._marks[-1][0] <= now - MARK_SECONDS:
            self._marks.append((now, self.position))
        while len(self._marks) > 1 and self._marks[1][0] <= now - MARKS_KEPT_SECONDS:
            self._marks.popleft()

    async def _publish(self, connection: Connection, row: RecordedEvent) -> int:
        """Send the notifications of one row and return their number.

        A row that cannot be rendered is logged and skipped, so that later rows are published.
        """
        self._commit_listener(row)
        if row.type not in NOTIFYING_EVENTS:
            return 0
        began_ns = time.time_ns()
        try:
            messages = _messages(row, connection.message_bytes_max)
        except Exception:
            log.exception("notification.render_failed", position=row.position, type=row.type)
            return 0
        for subject, id_, body in messages:
            await connection.publish(subject, body, {"Nats-Msg-Id": id_})
        if self._on_published is not None:
            self._on_published(row, len(messages), began_ns)
        return len(messages)


def _messages(row: RecordedEvent, bytes_max: int) -> Sequence[tuple[str, str, bytes]]:
    """Return subject, id and body of each notification; the id is unique on its subject."""
    messages: list[tuple[str, str, bytes]] = []
    for message in cloudevents.notification_messages(row):
        body = message.body
        if len(body) + HEADER_BYTES_MAX > bytes_max:
            log.error(
                "notification.too_large", position=row.position, type=row.type, bytes=len(body)
            )
            body = cloudevents.notification_omitted(row, message)
        messages.append((_subject(row.tenant, message.notification), message.id, body))
    return messages


def _subject(tenant: str, notification: Notification) -> str:
    match notification.audience:
        case ToAgent(agent_id=agent_id):
            return subjects.to_agent(tenant, agent_id, notification.name)
        case ToAll():
            return subjects.to_all(tenant, notification.name)
        case _:
            assert_never(notification.audience)
