"""Pages of mail: cursors in both directions while mail arrives, filters, limits, and long polls."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import INBOX, SENT, Mailbox, create_mailboxes

pytestmark = pytest.mark.asyncio(loop_scope="module")
WAIT = 25  # Seconds; each test ends as soon as a message arrives.
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("mail") / "data") as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def boxes(service: InProcess) -> list[Mailbox]:
    """Three agents whose names no other test uses."""
    number = next(_numbers)
    return await create_mailboxes(service, *(f"{name}{number}" for name in ("ann", "bob", "cat")))


async def send_many(sender: Mailbox, to: Mailbox, numbers: range) -> None:
    for number in numbers:
        await sender.send(to, subject=str(number))


def subjects(page: Any) -> list[str]:  # noqa: ANN401 - a page.
    return [message["subject"] for message in page["messages"]]


async def pages(box: Mailbox, path: str, **query: Any) -> list[list[str]]:  # noqa: ANN401
    """Follow a list to its end."""
    found = []
    while True:
        page = await box.call("GET", path, **query)
        found.append(subjects(page))
        assert page.get("total", len(found[-1])) == len(found[-1])
        if not page["has_more"]:
            return found
        query["cursor"] = page["cursor"]


async def test_inbox_is_paged_while_mail_arrives(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    await send_many(ann, bob, range(5))
    first = await bob.inbox(limit=2)
    assert (subjects(first), first["has_more"]) == (["4", "3"], True)

    await send_many(ann, bob, range(5, 7))
    second = await bob.inbox(limit=2, cursor=first["cursor"])
    third = await bob.inbox(limit=2, cursor=second["cursor"])
    assert (subjects(second), subjects(third), third["has_more"]) == (["2", "1"], ["0"], False)
    # The cursor of each of these pages continues with what arrived after the first one.
    for page in (first, second, third):
        assert subjects(await bob.inbox(since=page["cursor"])) == ["5", "6"]


async def test_since_gives_each_message_once(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    await send_many(ann, bob, range(3))
    seen: list[str] = []
    cursor = "0"
    for arriving in (range(3, 5), range(5, 5), range(5, 8)):
        await send_many(ann, bob, arriving)
        while True:
            page = await bob.inbox(since=cursor, limit=2)
            seen += subjects(page)
            cursor = page["cursor"]
            if not page["has_more"]:
                break
        empty = await bob.inbox(since=cursor)
        assert (empty["messages"], empty["unread_count"]) == ([], len(seen))
        cursor = empty["cursor"]
    assert seen == [str(number) for number in range(8)]


async def test_cursor_of_an_empty_inbox_continues(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    empty = await bob.inbox()
    await ann.send(bob, subject="first")
    assert subjects(await bob.inbox(since=empty["cursor"])) == ["first"]


async def test_sent_and_threads_are_paged(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    first = await ann.send(bob, subject="0")
    for number in range(1, 5):
        await ann.send(bob, subject=str(number), in_reply_to=first["message_id"])
    thread = f"/email/thread/{first['thread_id']}"

    assert await pages(ann, SENT, limit=2) == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages(bob, thread, limit=2) == [["0", "1"], ["2", "3"], ["4"]]
    assert await pages(bob, thread, limit=2, order="desc") == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages(bob, thread) == [["0", "1", "2", "3", "4"]]


async def test_page_ends_before_its_bodies_become_too_many(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    long = "x" * 256 * 1_024
    for number in range(12):
        await ann.send(bob, subject=str(number), body_text=long, body_html=long)
    for path, reader in ((INBOX, bob), (SENT, ann)):
        found = await pages(reader, path, limit=100)
        assert len(found) > 1
        assert [one for page in found for one in page] == [str(n) for n in reversed(range(12))]
    assert subjects(await bob.inbox(since="0", limit=100))[0] == "0"


@pytest.mark.parametrize(
    "query",
    [
        *({"cursor": "x"}, {"cursor": "1.x"}, {"since": "-1"}, {"since": "9" * 40}),
        *({"cursor": "1", "since": "1"}, {"limit": 0}, {"limit": 101}, {"wait": 31}),
        *({"kind": "OTHER"}, {"unknown": 1}),
    ],
)
async def test_invalid_query_is_rejected(boxes: list[Mailbox], query: dict[str, Any]) -> None:
    assert await boxes[0].rejection("GET", INBOX, **query) == "422 invalid_request"


async def test_filters_of_the_inbox(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    task = await ann.send(bob, subject="TASK:7 one")
    await cat.send(bob, subject="RESULT:7 two")
    await ann.send(bob, subject="three", in_reply_to=task["message_id"])
    await bob.get(task["message_id"])
    for query, expected in (
        ({"from_address": ann.address}, ["three", "TASK:7 one"]),
        ({"from_address": cat.address.upper()}, ["RESULT:7 two"]),
        ({"thread_id": task["thread_id"]}, ["three", "TASK:7 one"]),
        ({"kind": "TASK"}, ["TASK:7 one"]),
        ({"task_id": "7"}, ["RESULT:7 two", "TASK:7 one"]),
        ({"task_id": "7", "unread_only": "true"}, ["RESULT:7 two"]),
        ({"unread_only": "true", "from_address": ann.address}, ["three"]),
        ({"kind": "ERROR"}, []),
    ):
        page = await bob.inbox(**query)
        assert (subjects(page), page["unread_count"]) == (expected, 2)
        assert await pages(bob, INBOX, limit=1, **query) == ([[one] for one in expected] or [[]])


async def test_name_of_an_agent_in_capitals_is_found(service: InProcess) -> None:
    sender, reader = await create_mailboxes(service, "Zoe", "yan")
    await sender.send(reader)
    [message] = (await reader.inbox(from_address="ZOE@agents.localhost"))["messages"]
    assert message["from_address"] == "zoe@agents.localhost"
    assert (await sender.call("GET", "/email/account"))["email_address"] == "zoe@agents.localhost"


# -- Long polls ------------------------------------------------------------------


async def test_wait_ends_when_a_message_arrives(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    waiting = [
        asyncio.create_task(bob.inbox(wait=WAIT, **query))
        for query in ({}, {"unread_only": "true"}, {"since": "0"}, {"from_address": ann.address})
    ]
    await asyncio.sleep(0)
    await ann.send(bob, subject="now")
    async with asyncio.timeout(WAIT - 5):
        found = [await one for one in waiting]
    assert [subjects(page) for page in found] == [["now"]] * len(waiting)


async def test_wait_ignores_other_messages(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    waiting = asyncio.create_task(bob.inbox(wait=WAIT, from_address=ann.address))
    await cat.send(bob, subject="other")
    await bob.inbox(wait=WAIT, from_address=cat.address)
    assert not waiting.done()
    await ann.send(bob, subject="this")
    async with asyncio.timeout(WAIT - 5):
        page = await waiting
    assert (subjects(page), page["unread_count"]) == (["this"], 2)


async def test_wait_without_mail_returns_an_empty_page(boxes: list[Mailbox]) -> None:
    page = await boxes[0].inbox(wait=0.05)
    assert (page["messages"], page["has_more"]) == ([], False)


async def test_wait_with_mail_returns_at_once(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    await ann.send(bob)
    async with asyncio.timeout(WAIT - 5):
        assert (await bob.inbox(wait=WAIT))["total"] == 1
