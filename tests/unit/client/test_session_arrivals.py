"""Messages of a session arrive in order and each once, also over gaps and outages."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quorate.client import session_arrivals
from quorate.client.errors import UnauthorizedError, UnavailableError
from quorate.client.problem_errors import error_from_problem
from quorate.client.request_builder import Request
from quorate.client.results import Notification
from quorate.client.session_arrivals import follow_session
from quorate.contracts.sessions.session_messages import SessionHistory
from quorate.domain.identity.agents import AgentRef

KEY, START, LIMIT = "agent:ann:main", 10, 100
Json = dict[str, Any]


def message(index: int, sender: str) -> Json:
    optional = ("context", "in_reply_to", "reply_id", "model", "read_at", "erased_at")
    return {
        "id": f"smsg_{index}",
        "session_key": KEY,
        "index": index,
        "sequence": START + index - 1,
        "role": "user",
        "content": index,
        "from": sender,
        "created_at": "2026-03-01T09:00:00Z",
        **dict.fromkeys(optional),
    }


def notification(name: str, key: str = KEY) -> Notification:
    return Notification.from_json(
        {
            "type": f"quorate.{name}",
            "sequence": START + 1,
            "id": "event",
            "time": "2026-03-01T09:00:00Z",
            "data": {"session_key": key},
        }
    )


class FakeSession:
    """A session behind a service: the context and the feed of an agent in one.

    ``steps`` are what happens next: messages that are appended, a failure, or a notification.
    """

    agent_ref, agent_id, start, cursor = AgentRef(id="agent_ann"), "agent_ann", START, START

    def __init__(self, *senders: str) -> None:
        self.senders = list(senders)
        self.failures: deque[Exception] = deque()
        self.notified: deque[tuple[Notification, int]] = deque()  # With so many new messages.
        self.requests = 0

    async def execute(self, request: Request[SessionHistory]) -> SessionHistory:
        self.requests += 1
        if self.failures:
            raise self.failures.popleft()
        body = request.body or {}
        count, limit = len(self.senders), int(body["limit"])
        first = int(body["after"]) + 1 if "after" in body else max(0, count - limit)
        found = [message(n, self.senders[n]) for n in range(first, min(count, first + limit))]
        last = found[-1]["index"] + 1 if found else first
        return SessionHistory.from_json(
            {
                "key": KEY,
                "label": None,
                "messages": found,
                "totalMessages": count,
                "offset": 0,
                "count": len(found),
                "hasMore": last < count,
                "nextCursor": str(first) if first else None,
                "unread": 0,
            }
        )

    async def notifications(self, _after: int) -> AsyncIterator[Notification]:
        while self.notified:
            one, more = self.notified.popleft()
            self.senders += ["agent_bob"] * more
            yield one


async def arrived(session: FakeSession, after: int | None = None) -> list[int]:
    fake: Any = session
    return [one.index async for one in follow_session(fake, fake, KEY, after)]


async def test_starts_where_the_agent_connected_and_leaves_out_its_own_messages() -> None:
    session = FakeSession(*["agent_bob"] * 3, "agent_ann", "agent_cid")
    assert await arrived(session) == [2, 4]


async def test_continues_after_an_index_in_pages() -> None:
    session = FakeSession(*["agent_bob"] * (2 * LIMIT + 7))
    assert await arrived(session, after=4) == list(range(5, 2 * LIMIT + 7))


async def test_one_page_serves_all_messages_that_have_arrived() -> None:
    session = FakeSession("agent_bob")
    session.notified += [(notification("session_message"), 3)]
    session.notified += [(notification("session_message", key="agent:ann:other"), 2)]
    assert await arrived(session, after=-1) == [0, 1, 2, 3]
    assert session.requests == 2


async def test_gap_hides_no_message() -> None:
    session = FakeSession()
    session.notified.append((Notification.gap(START, START + 5), 2))
    assert await arrived(session, after=-1) == [0, 1]


async def test_outage_is_retried_and_a_rejection_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_arrivals, "PAUSE_SECONDS", 0.0)
    session = FakeSession("agent_bob")
    session.failures += [UnavailableError("away"), UnavailableError("away")]
    assert await arrived(session, after=-1) == [0]
    session.failures.append(error_from_problem({"code": "unauthorized"}, 401))
    with pytest.raises(UnauthorizedError):
        await arrived(session, after=-1)
