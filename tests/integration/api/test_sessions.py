"""Sessions over HTTP: messages and their indexes, pages, branches, values, deletion, and access."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quorate.application.subscriptions import SUBSCRIPTIONS_PER_AGENT_MAX
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.session_service import SessionAgent, create_agents

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("sessions") / "data") as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def agents(service: InProcess) -> list[SessionAgent]:
    """Three agents whose names no other test uses."""
    number = next(_numbers)
    return await create_agents(service, *(f"{name}{number}" for name in ("ann", "bob", "cat")))


async def history(agent: SessionAgent, key: str, **fields: Any) -> list[Any]:  # noqa: ANN401
    page = await agent.call("sessions_history", key=key, **fields)
    assert page["count"] == len(page["messages"])
    return [one["content"] for one in page["messages"]]


# -- Messages ------------------------------------------------------------------


async def test_main_session_exists_as_soon_as_its_agent_does(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    page = await ann.call("sessions_history", key=bob.main)
    assert (page["messages"], page["totalMessages"], page["hasMore"]) == ([], 0, False)
    (first, *_) = (await ann.call("sessions_list"))["sessions"]
    assert (first["key"], first["agentId"]) == (ann.main, ann.id)


async def test_message_has_index_role_and_the_sender_of_the_key(
    agents: list[SessionAgent],
) -> None:
    ann, bob, _ = agents
    sent = await ann.call(
        "sessions_send", key=bob.main, message="Please implement JWT", context="coordinator"
    )
    assert (sent["sent"], sent["index"], sent["replied"]) == (True, 0, False)
    own = await bob.call("sessions_send", key=bob.main, message={"step": [1, None]})
    assert own["index"] == 1
    page = await ann.call("sessions_history", key=bob.main)
    first, second = page["messages"]
    assert first["id"] == sent["message_id"]
    assert (first["role"], first["from"], first["context"]) == ("user", ann.id, "coordinator")
    assert (second["role"], second["from"]) == ("assistant", bob.id)
    assert second["content"] == {"step": [1, None]}


async def test_only_the_owner_gives_a_message_another_role(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    await bob.call("sessions_send", key=bob.main, message="x", role="system")
    code, _ = await ann.rejection("sessions_send", key=bob.main, message="x", role="system")
    assert code == "session_role_forbidden"


async def test_history_skips_the_newest_and_pages_from_oldest_to_newest(
    agents: list[SessionAgent],
) -> None:
    ann, bob, _ = agents
    for number in range(5):
        await ann.call("sessions_send", key=bob.main, message=f"m{number}")
    assert await history(ann, bob.main, limit=2) == ["m3", "m4"]
    assert await history(ann, bob.main, limit=2, offset=2) == ["m1", "m2"]
    assert await history(ann, bob.main, limit=2, offset=4) == ["m0"]
    assert await history(ann, bob.main, limit=2, offset=9) == []
    assert await history(ann, bob.main, limit=2, after=-1) == ["m0", "m1"]
    page = await ann.call("sessions_history", key=bob.main, limit=2)
    found = []
    while page["nextCursor"] is not None:
        assert page["hasMore"]
        page = await ann.call("sessions_history", key=bob.main, limit=2, cursor=page["nextCursor"])
        found.append([one["content"] for one in page["messages"]])
    assert found == [["m1", "m2"], ["m0"]]


async def test_texts_of_errors_are_those_of_the_original(agents: list[SessionAgent]) -> None:
    ann, _, _ = agents
    code, detail = await ann.rejection("sessions_history", key="agent:unknown:main")
    assert (code, detail) == ("session_not_found", "session not found: agent:unknown:main")
    _, detail = await ann.rejection("sessions_delete", key=ann.main)
    assert detail == "cannot delete the main session"
    await ann.call("sessions_send", key=ann.main, message="one")
    _, detail = await ann.rejection("branch_session", label="b", fork_point=4)
    assert detail == "fork_point 4 exceeds message count 1"


async def test_repeated_send_with_one_idempotency_key_appends_once(
    agents: list[SessionAgent],
) -> None:
    ann, bob, _ = agents
    headers = {"Idempotency-Key": f"send-{ann.name}"}
    first = await ann.call("sessions_send", headers=headers, key=bob.main, message="once")
    again = await ann.call("sessions_send", headers=headers, key=bob.main, message="once")
    assert again["message_id"] == first["message_id"]
    assert await history(ann, bob.main) == ["once"]


async def test_message_is_at_most_256_kib(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    largest = "x" * (256 * 1024)
    await ann.call("sessions_send", key=bob.main, message=largest)
    code, _ = await ann.rejection("sessions_send", key=bob.main, message=largest + "x")
    assert code == "session_body_too_large"


@pytest.mark.parametrize(
    "value", ["1" + "0" * 30, "-9223372036854775809", "1e999", "[" * 300 + "]" * 300]
)
async def test_value_that_cannot_be_stored_exactly_is_refused(
    agents: list[SessionAgent], value: str
) -> None:
    ann, _, _ = agents
    body = f'{{"key": "{ann.main}", "message": [{value}]}}'.encode()
    request = json_request("POST", "/v1/tools/sessions_send", body, key=ann.key)
    refused = await ann.service.ask(request)
    assert (refused.status, refused.json["code"]) == (422, "invalid_request")
    state = f'{{"operation": "set", "namespace": "n", "key": "k", "value": {value}}}'.encode()
    request = json_request("POST", "/v1/tools/session_state", state, key=ann.key)
    assert (await ann.service.ask(request)).json["code"] == "invalid_request"


# -- Replies -------------------------------------------------------------------


async def test_each_of_several_waiting_senders_gets_its_own_reply(
    agents: list[SessionAgent],
) -> None:
    ann, bob, cat = agents
    waiting = [
        asyncio.create_task(
            sender.call("sessions_send", key=bob.main, message=text, waitForReply=True)
        )
        for sender, text in ((ann, "1"), (ann, "2"), (cat, "3"))
    ]
    asked = [await bob.next_notification("session_message") for _ in waiting]
    for one in reversed(asked):
        text, id_ = f"re {one['content']}", one["message_id"]
        await bob.call("sessions_send", key=bob.main, message=text, in_reply_to=id_)
    answers = await asyncio.gather(*waiting)
    assert [one["reply"]["content"] for one in answers] == ["re 1", "re 2", "re 3"]
    assert all(one["replied"] and one["waitForReply"] for one in answers)


async def test_reply_may_be_sent_to_the_session_of_the_sender(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    waiting = asyncio.create_task(
        ann.call("sessions_send", key=bob.main, message="?", wait_for_reply=True)
    )
    asked = await bob.next_notification("session_message")
    await bob.call("sessions_send", key=ann.main, message="!", in_reply_to=asked["message_id"])
    assert (await waiting)["result"]["text"] == "!"


async def test_answer_of_a_third_agent_is_no_reply(agents: list[SessionAgent]) -> None:
    ann, bob, cat = agents
    sent = await ann.call("sessions_send", key=bob.main, message="?")
    await cat.call("sessions_send", key=bob.main, message="no", in_reply_to=sent["message_id"])
    (asked, _) = await _messages(bob, bob.main)
    assert asked["reply_id"] is None


async def test_wait_ends_without_a_reply_after_its_time(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    sent = await ann.call(
        "sessions_send", key=bob.main, message="?", wait_for_reply=True, timeout_seconds=1
    )
    assert (sent["replied"], sent["reply"]) == (False, None)
    await bob.call("sessions_send", key=bob.main, message="late", in_reply_to=sent["message_id"])
    asked, reply = await _messages(ann, bob.main)
    assert asked["reply_id"] == reply["id"]


async def test_refused_wait_sends_no_message(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    subscriptions = ann.service.running.service.subscriptions
    with ExitStack() as stack:
        for _ in range(SUBSCRIPTIONS_PER_AGENT_MAX):
            one = subscriptions.subscribe_to_notifications("default", ann.id, "")
            stack.enter_context(one)
        code, _ = await ann.rejection(
            "sessions_send", key=bob.main, message="?", wait_for_reply=True
        )
    assert code == "too_many_streams"
    assert await history(ann, bob.main) == []


async def test_wait_ends_when_the_service_stops(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        ann, bob = await create_agents(service, "ann", "bob")
        waiting = asyncio.create_task(
            ann.call("sessions_send", key=bob.main, message="?", wait_for_reply=True)
        )
        await bob.next_notification("session_message")
        service.running.service.subscriptions.close()
        assert (await waiting)["replied"] is False


async def _messages(agent: SessionAgent, key: str) -> list[Any]:
    found: list[Any] = (await agent.call("sessions_history", key=key))["messages"]
    return found


async def test_owner_and_sender_are_notified(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    sent = await ann.call("sessions_send", key=bob.main, message={"n": 1}, context="c", model="m")
    expected = {
        "session_key": bob.main,
        "message_id": sent["message_id"],
        "index": 0,
        "role": "user",
        "from_agent_id": ann.id,
        "context": "c",
        "in_reply_to": None,
        "is_reply": False,
        "model": "m",
        "content": {"n": 1},
    }
    assert await bob.next_notification("session_message") == expected
    await bob.call("sessions_history", key=bob.main, mark_read=True)
    assert await ann.next_notification("session_read") == {
        "session_key": bob.main,
        "message_id": sent["message_id"],
        "index": 0,
        "by_agent_id": bob.id,
    }
    await bob.call(
        "sessions_send", key=bob.main, message="x" * 16_385, in_reply_to=sent["message_id"]
    )
    reply = await ann.next_notification("session_message")
    assert (reply["is_reply"], reply["content"]) == (True, None)


async def test_owner_marks_messages_as_read(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents
    await ann.call("sessions_send", key=bob.main, message="1")
    assert (await bob.call("sessions_history", key=bob.main))["unread"] == 1
    assert (await bob.call("sessions_history", key=bob.main, mark_read=True))["unread"] == 0
    (message,) = await _messages(ann, bob.main)
    assert message["read_at"] is not None
    code, _ = await ann.rejection("sessions_history", key=bob.main, mark_read=True)
    assert code == "session_not_owned"


# -- Lists ---------------------------------------------------------------------


async def test_list_has_the_main_session_first_and_then_the_last_changed(
    agents: list[SessionAgent],
) -> None:
    ann, bob, _ = agents
    keys = [f"agent:{ann.name}:{name}" for name in ("plan", "build")]
    for key in keys:
        assert (await ann.call("sessions_create", key=key, label="Work"))["created"]
    await ann.call("sessions_send", key=keys[0], message="newer")
    found = await ann.call("sessions_list", filter=f"AGENT:{ann.name}:")
    assert [one["key"] for one in found["sessions"]] == [ann.main, *keys]
    pages: list[str] = []
    cursor: dict[str, Any] = {}
    for _ in range(3):
        page = await ann.call("sessions_list", filter=f"{ann.name}:", limit=1, **cursor)
        pages += [one["key"] for one in page["sessions"]]
        cursor = {"cursor": page["nextCursor"]}
    assert (pages, cursor) == ([ann.main, *keys], {"cursor": None})
    assert (await bob.call("sessions_list", filter="100%"))["sessions"] == []


async def test_existing_session_is_returned_and_not_created_again(
    agents: list[SessionAgent],
) -> None:
    ann, bob, _ = agents
    first = await ann.call("sessions_create", label="x", inherit_agent_from=bob.main)
    assert first["result"]["agentId"] == bob.id
    again = await ann.call("sessions_create", key=first["key"])
    assert (again["created"], again["result"]["id"]) == (False, first["result"]["id"])
    code, _ = await ann.rejection("sessions_create", key="main")
    assert code == "session_key_invalid"


async def test_branch_has_the_messages_before_the_fork_point(agents: list[SessionAgent]) -> None:
    ann, _, _ = agents
    for number in range(3):
        await ann.call("sessions_send", key=ann.main, message=f"m{number}")
    first = await ann.call("branch_session", label="first", fork_point=2)
    assert (first["forkPoint"], first["messageCount"]) == (2, 2)
    await ann.call("sessions_send", key=first["sessionKey"], message="own")
    second = await ann.call("branch_session", label="second", key=first["sessionKey"])
    await ann.call("sessions_send", key=second["sessionKey"], message="last")
    assert await history(ann, second["sessionKey"]) == ["m0", "m1", "own", "last"]
    assert await history(ann, second["sessionKey"], limit=2, offset=1) == ["m1", "own"]
    assert await history(ann, ann.main) == ["m0", "m1", "m2"]
    code, _ = await ann.rejection("sessions_delete", key=first["sessionKey"])
    assert code == "session_has_branches"
    await ann.call("sessions_delete", key=second["sessionKey"])
    await ann.call("sessions_delete", key=first["sessionKey"])


async def test_deleted_session_is_unknown_and_its_key_is_free(agents: list[SessionAgent]) -> None:
    ann, _, _ = agents
    key = f"agent:{ann.name}:work"
    await ann.call("sessions_create", key=key)
    await ann.call("sessions_send", key=key, message="old")
    assert (await ann.call("sessions_delete", key=key))["deleted"] is True
    assert (await ann.rejection("sessions_history", key=key))[0] == "session_not_found"
    assert (await ann.call("sessions_create", key=key))["created"]
    assert await history(ann, key) == []


# -- Values --------------------------------------------------------------------


async def test_values_are_kept_by_session_namespace_and_key(agents: list[SessionAgent]) -> None:
    ann, bob, _ = agents

    async def state(agent: SessionAgent, operation: str, **fields: Any) -> Any:  # noqa: ANN401
        return await agent.call("session_state", operation=operation, namespace="n", **fields)

    await state(ann, "set", key="a", value={"x": 1})
    await state(ann, "set", key="a", value={"x": 2})
    await state(ann, "set", key="b", value=None)
    assert (await state(ann, "get", key="a"))["value"] == {"x": 2}
    assert (await state(ann, "get", key="b"))["found"] is True
    assert (await state(bob, "get", key="a"))["found"] is False
    other = await ann.call("sessions_create")
    work = {"_session_key": other["key"]}
    assert (await state(ann, "get", key="a", **work))["found"] is False
    assert [one["key"] for one in (await state(ann, "list"))["values"]] == ["a", "b"]
    assert (await state(ann, "delete", key="a"))["deleted"] == 1
    assert (await state(ann, "clear"))["deleted"] == 1
    assert (await state(ann, "list"))["values"] == []
    code, _ = await bob.rejection(
        "session_state", operation="list", namespace="n", _session_key=ann.main
    )
    assert code == "session_not_owned"
    code, _ = await ann.rejection(
        "session_state", operation="set", namespace="n", key="k", value="x" * 65_536
    )
    assert code == "session_value_too_large"
