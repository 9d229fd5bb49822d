"""Arriving messages: a notification wakes the reader, and the inbox after the last one is read."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from quorate.client import mail_arrivals
from quorate.client.errors import ClientClosedError, UnavailableError
from quorate.client.mail_arrivals import follow_inbox
from quorate.client.request_builder import Request
from quorate.client.results import Notification
from quorate.client.serialization import Response
from quorate.contracts.mail.messages import InboxPage, MailMessage
from quorate.domain.identity.agents import AgentRef

START = 10
Json = dict[str, Any]


def message(sequence: int, **fields: object) -> Json:
    return {
        "message_id": f"msg_{sequence}",
        "thread_id": "thr_1",
        "from_address": "bob@agents.localhost",
        "from_agent_id": "agent_bob",
        "to_addresses": ["ann@agents.localhost"],
        "cc_addresses": [],
        "subject": "Hello",
        "body_text": f"text {sequence}",
        "body_html": None,
        "direction": "inbound",
        "status": "delivered",
        "has_attachments": False,
        "attachments": [],
        "read_at": None,
        "starred": False,
        "acked_at": None,
        "importance": "normal",
        "ack_required": False,
        "in_reply_to": None,
        "kind": None,
        "task_id": None,
        "level": None,
        "erased_at": None,
        "sequence": sequence,
        "created_at": "2026-03-01T09:00:00Z",
        **fields,
    }


def notification(name: str, sequence: int, **data: object) -> Notification:
    return Notification.from_json(
        {
            "type": f"quorate.{name}",
            "sequence": sequence,
            "id": f"event-{sequence}",
            "time": "2026-03-01T09:00:00Z",
            "data": data,
        }
    )


def received(sequence: int, kind: str | None = None) -> Notification:
    fields = {"message_id": f"msg_{sequence}", "kind": kind, "body_text": None}
    return notification("message_received", sequence, **fields)


class FakeInbox:
    """An inbox behind a service: the context, the transport and the feed of an agent in one.

    ``head`` is the last sequence of the log. ``failures`` are raised by the next requests.
    """

    agent_ref = AgentRef(id="agent_ann")

    def __init__(self, *stored: Json, page_length: int = 100) -> None:
        self.stored = list(stored)
        self.page_length = page_length
        self.head = START
        self.failures: deque[Exception] = deque()
        self.notified: deque[Notification] = deque()
        self.requests: list[Request[Any]] = []
        self.cursor = START

    @property
    def transport(self) -> "FakeInbox":
        return self

    async def send(self, request: Request[InboxPage]) -> Response[InboxPage]:
        self.requests.append(request)
        if self.failures:
            raise self.failures.popleft()
        since = int(request.parameters["since"])
        found = [one for one in self.stored if one["sequence"] > since]
        page: Json = {
            "messages": found[: self.page_length],
            "total": 0,
            "unread_count": 0,
            "has_more": len(found) > self.page_length,
            "cursor": "0.0",
        }
        self.head = max([self.head, *(one["sequence"] for one in found)])
        return Response(
            result=InboxPage.from_json(page), sequence=self.head, replayed=False, sent_at=0.0
        )

    async def execute(self, request: Request[MailMessage]) -> MailMessage:
        self.requests.append(request)
        sequence = int(request.path.rpartition("_")[2])
        return MailMessage.from_json(message(sequence, body_text="read alone"))

    async def notifications(self, after: int) -> AsyncIterator[Notification]:
        assert after == START
        while self.notified:
            yield self.notified.popleft()

    async def read(self, position: int = START, **filters: object) -> Sequence[str | None]:
        """Return the texts of all messages that arrive until the feed ends."""
        arriving = follow_inbox(self, self, position, filters)  # type: ignore[arg-type]
        return [one.body_text async for one in arriving]


async def test_stored_messages_come_first_in_pages() -> None:
    inbox = FakeInbox(message(11), message(13), message(15), page_length=2)

    assert await inbox.read() == ["text 11", "text 13", "text 15"]
    assert len(inbox.requests) == 2


async def test_notification_of_a_message_that_was_read_causes_no_request() -> None:
    inbox = FakeInbox(message(11), message(13))
    inbox.notified += [received(12), received(13)]

    assert await inbox.read() == ["text 11", "text 13"]
    assert len(inbox.requests) == 1


async def test_other_notifications_cause_no_request() -> None:
    inbox = FakeInbox()
    inbox.notified += [notification("lease_available", 20), received(21, kind="STATUS")]

    assert await inbox.read(kind="TASK") == []
    assert len(inbox.requests) == 1


@pytest.mark.parametrize(
    "arrived",
    [
        received(30, kind="TASK"),
        notification("message_received", 30, omitted=True),
        Notification.gap(12, 30),
    ],
    ids=["message", "omitted data", "gap"],
)
async def test_what_may_stand_for_a_message_causes_a_request(arrived: Notification) -> None:
    inbox = FakeInbox()
    inbox.notified.append(arrived)

    assert await inbox.read(kind="TASK") == []
    assert len(inbox.requests) == 2


async def test_outage_delays_messages_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_arrivals, "PAUSE_SECONDS", 0.0)
    inbox = FakeInbox(message(11))
    inbox.failures += [UnavailableError("no response"), UnavailableError("no response")]

    assert await inbox.read() == ["text 11"]


async def test_closed_agent_ends_the_iteration() -> None:
    inbox = FakeInbox(message(11))
    inbox.failures.append(ClientClosedError("closed"))

    assert await inbox.read() == []


async def test_body_that_a_list_leaves_out_is_read_alone() -> None:
    inbox = FakeInbox(
        message(11, body_text=None),
        message(12, body_text=None, erased_at="2026-03-02T09:00:00Z"),
    )

    assert await inbox.read() == ["read alone", None]
    assert inbox.requests[1].parameters["mark_read"] is False
