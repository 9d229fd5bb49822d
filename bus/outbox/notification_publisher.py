"""Says what was committed to those whom it concerns, in order and at least once.

The cursor lives here and only moves over rows whose notifications went out. What the server had not
passed on when it died is lost with it, so after an outage everything from REPLAY_SECONDS before it
is said again: with the same id and the same bytes, so that whoever heard it can tell. Those who
were connected get some time to come back first, because NATS keeps nothing for the absent.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol, TypeAlias, assert_never

import structlog

from quorate.bus import cloudevents, subjects
from quorate.bus.connection import Connection
from quorate.bus.outbox.log_tail import Follower, LogTail
from quorate.domain.notifications import NOTICED_TYPES, Notification, ToAgent, ToAll
from quorate.eventlog.recorded_event import RecordedEvent

RECONNECT_GRACE_SECONDS = 5.0
REPLAY_SECONDS = 10.0
MARK_SECONDS = 0.5
# A silent server is noticed late: marks are kept from well before the sign of life that was last.
MARKS_KEPT_SECONDS = 2 * REPLAY_SECONDS
HEADER_BYTES_MAX = 512  # Ours, with their names; the server counts them to the message.

CommitListener: TypeAlias = Callable[[RecordedEvent], None]
PublishListener: TypeAlias = Callable[[RecordedEvent, int, int], None]

log = structlog.get_logger(__name__)


class Audience(Protocol):
    """Who listens: ``Presence``, or anything that can tell when they are all back."""

    async def wait_until_reconnected(self, seconds_max: float) -> bool: ...


class NotificationPublisher:
    def __init__(
        self,
        tail: LogTail,
        audience: Audience,
        commit_listener: CommitListener,
        on_published: PublishListener | None = None,
    ) -> None:
        self._tail = tail
        self._audience = audience
        self._commit_listener = commit_listener
        self._on_published = on_published
        self._marks: deque[tuple[float, int]] = deque()
        self._begun = asyncio.Event()
        self._resumes = False
        self._said_at = 0.0
        self.position = 0  # Everything up to here was said.

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self, position: int) -> None:
        """Where a process starts; later calls change nothing."""
        if not self.begun:
            self.position = position
            self._marks.append((time.monotonic(), position))
            self._begun.set()

    async def run(
        self, connection: Connection, follower: Follower, progress: Callable[[], None]
    ) -> NoReturn:
        await self._begun.wait()
        if self._resumes and not await self._audience.wait_until_reconnected(
            RECONNECT_GRACE_SECONDS
        ):
            log.info("nats_not_all_back", waited_seconds=RECONNECT_GRACE_SECONDS)
        self._resumes = True
        while True:
            rows = await self._tail.after(self.position)
            if not rows:
                await follower.more()
                continue
            on_published = 0
            for row in rows:
                on_published += await self._announce(connection, row)
            self.position = rows[-1].position
            self._mark()
            progress()
            if on_published:
                await connection.flush()  # Bounds what waits in our buffers to one batch.

    def rewind(self, alive_at: float) -> None:
        """Go back to what was surely passed on by a server that was last alive at ``alive_at``."""
        certain = alive_at - REPLAY_SECONDS
        if not self.begun or self._said_at <= certain:
            return
        self.position = self._marks[0][1]
        for at, position in self._marks:
            if at <= certain:
                self.position = position
        while self._marks[-1][1] > self.position:
            self._marks.pop()

    def _mark(self) -> None:
        now = self._said_at = time.monotonic()
        if self._marks[-1][0] <= now - MARK_SECONDS:
            self._marks.append((now, self.position))
        while len(self._marks) > 1 and self._marks[1][0] <= now - MARKS_KEPT_SECONDS:
            self._marks.popleft()

    async def _announce(self, connection: Connection, row: RecordedEvent) -> int:
        """Send the notifications of one row; a row that cannot be said must not silence the next."""
        self._commit_listener(row)
        if row.type not in NOTICED_TYPES:
            return 0
        began_ns = time.time_ns()
        try:
            messages = _messages(row, connection.message_bytes_max)
        except Exception:
            log.exception("notification_impossible", position=row.position, type=row.type)
            return 0
        for subject, id_, body in messages:
            await connection.publish(subject, body, {"Nats-Msg-Id": id_})
        if self._on_published is not None:
            self._on_published(row, len(messages), began_ns)
        return len(messages)


def _messages(row: RecordedEvent, bytes_max: int) -> Sequence[tuple[str, str, bytes]]:
    """Subject, id and body of each notification; the id is the event's, unique on its subject."""
    messages: list[tuple[str, str, bytes]] = []
    for message in cloudevents.notification_messages(row):
        body = message.body
        if len(body) + HEADER_BYTES_MAX > bytes_max:
            log.error("notification_omitted", position=row.position, type=row.type, bytes=len(body))
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
