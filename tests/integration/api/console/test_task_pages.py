"""The pages of sessions, tasks, task lists and schedules: what they say, and what they offer."""

import re
from collections.abc import AsyncIterator
from html import unescape
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from quorate.api.console.views import session, tasks
from tests.integration.api.console.test_console import cookie_of, issue, log_in, page, post
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, apply_preset, create_agent

NUMBERS = count()
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("tasks") / "data") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: InProcess) -> TaskAgent:
    return await create_agent(service, "ann")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cookie(service: InProcess) -> str:
    return await log_in(service, service.key)


async def text_of(service: InProcess, path: str, cookie: str) -> str:
    response = await page(service, path, cookie)
    text = response.body.decode()
    assert response.status == 200, text
    return text


def live(text: str, id_: str) -> str:
    """Return a live element of a page."""
    found = re.search(rf'<(\w+) id="{id_}"(.*?)</\1>', text, re.DOTALL)
    assert found is not None, text
    return found[2]


def offers(text: str) -> list[str]:
    return re.findall(r"/console/actions/(\w+)", text)


async def give_up(ann: TaskAgent) -> str:
    """Return a task whose only attempt has failed."""
    preset = f"once-{next(NUMBERS)}"
    await apply_preset(ann.service, preset, {"max_attempts": 1})
    id_ = await ann.spawn("check the disk", preset=preset)
    await ann.report(await ann.claimed(preset), "fail", error="disk full", outcome="retry")
    return id_


async def test_board_has_a_card_for_each_task_in_its_column(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    working = await ann.spawn("collect invoices")
    claimed = await ann.claimed()
    waiting = await ann.spawn()
    dead = await give_up(ann)

    text = await text_of(service, "/tasks", cookie)

    card = live(text, f"working-{working}")
    assert claimed["task_id"] == working
    assert "collect invoices" in card
    assert "1 of 3" in card
    assert f'datetime="{claimed["claim_expires_at"]}"' in card
    assert offers(card) == ["cancelTask", "requeueTask"]
    assert offers(live(text, f"submitted-{waiting}")) == ["cancelTask"]
    assert offers(live(text, f"dead-{dead}")) == ["retryTask"]
    assert offers(live(text, f"ended-{dead}")) == ["retryTask"]
    for task in (waiting, working):
        await service.call("POST", f"/v1/tasks/{task}/cancel", {"reason": "done"})


async def test_long_column_says_how_many_it_leaves_out(
    service: InProcess, ann: TaskAgent, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await ann.spawn() for _ in range(3)]
    monkeypatch.setattr(tasks, "CARDS_MAX", 1)
    few = await text_of(service, "/tasks", cookie)
    monkeypatch.setattr(tasks, "PAGE_LENGTH", 2)
    many = await text_of(service, "/tasks", cookie)

    assert [id_ for id_ in ids if f'id="submitted-{id_}"' in few] == ids[:1]
    assert "3" in live(few, "count-submitted")
    assert "2+" in live(many, "count-submitted")
    assert "All of them" in few
    for id_ in ids:
        await service.call("POST", f"/v1/tasks/{id_}/cancel", {"reason": "done"})


async def test_task_page_says_why_it_failed_and_what_happened(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    id_ = await give_up(ann)
    explained = (await service.get(f"/v1/explain/{id_}")).json

    text = unescape(await text_of(service, f"/tasks/{id_}", cookie))

    assert explained["rule"] in text
    assert "disk full" in text
    assert "check the disk" in text
    for name in ("Task submitted", "Task claimed", "Task failed"):
        assert name in text


async def test_task_that_failed_for_good_is_not_retried(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    id_ = await ann.spawn()
    await ann.report(await ann.claimed(), "fail", error="no", outcome="failed")

    assert offers(await text_of(service, f"/tasks/{id_}", cookie)) == []


async def test_retry_of_a_dead_letter_records_its_reason(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    id_ = await give_up(ann)
    assert "retryTask" in offers(await text_of(service, f"/tasks/{id_}", cookie))

    fields = {"id": id_, "reason": "the disk is larger", "back": f"/console/tasks/{id_}"}
    done = await post(service, "/actions/retryTask", cookie, **fields)

    text = await text_of(service, f"/tasks/{id_}", cookie)
    assert done.header("location") == f"/console/tasks/{id_}"
    assert offers(live(text, "task")) == ["cancelTask"]
    assert "the disk is larger" in text


async def test_unknown_task_column_and_session_are_not_found(
    service: InProcess, cookie: str
) -> None:
    for path in ("/tasks/task_unknown", "/tasks/state/open", "/session", "/session?key=session:x"):
        assert (await page(service, path, cookie)).status == 404, path


async def test_session_with_any_key_opens_from_the_list(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    key = "agent:ann:a/b?c=d&e#f%20\"<i>'"
    await ann.tool("sessions_create", {"key": key, "label": "The odd one"})
    await ann.tool("sessions_send", {"key": key, "message": "hello"})

    listed = await text_of(service, "/sessions?text=the%20ODD", cookie)
    (link,) = re.findall(r'href="/console(/session\?key=[^"]*)"', listed)
    opened = await text_of(service, unescape(link), cookie)

    assert "hello" in listed
    assert key in unescape(opened)
    assert "hello" in live(opened, "message-0")


async def test_messages_are_read_in_pages_from_the_newest(
    service: InProcess, ann: TaskAgent, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        message: Any = {"number": number} if number == 3 else str(number)
        await ann.tool("sessions_send", {"key": "agent:ann:main", "message": message})
    monkeypatch.setattr(session, "PAGE_LENGTH", 2)

    newest = await text_of(service, "/session?key=agent:ann:main", cookie)
    (older,) = re.findall(r'href="/console([^"]*)" rel="next"', newest)
    before = await text_of(service, unescape(older), cookie)

    assert re.findall(r'id="message-(\d+)"', newest) == ["4", "3"]
    assert "&#34;number&#34;: 3" in newest
    assert re.findall(r'id="message-(\d+)"', before) == ["2", "1"]


async def test_list_says_what_blocks_a_task(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    for subject, blockers in (("collect", []), ("publish", ["1"])):
        body = {"action": "create", "subject": subject, "blocked_by": blockers}
        created = await ann.tool("task_list", {**body, "list_id": "weekly"})

    text = await text_of(service, "/task-lists?list=weekly&status=pending", cookie)

    row = live(text, f"item-{created['task']['item_id']}")
    assert 'data-label="Blocked by">1<' in row
    assert "publish" in row


async def test_schedule_is_paused_and_resumed(
    service: InProcess, ann: TaskAgent, cookie: str
) -> None:
    turn = {"kind": "agentTurn", "message": "m"}
    body = {"action": "create", "schedule": {"cron": "0 9 * * 1-5"}, "payload": turn}
    id_ = (await ann.tool("schedule", body))["schedule"]["id"]

    async def row() -> str:
        return live(await text_of(service, "/schedules", cookie), f"schedule-{id_}")

    active = await row()
    await post(service, "/actions/pauseSchedule", cookie, id=id_, reason="too many")
    paused = await row()
    await post(service, "/actions/resumeSchedule", cookie, id=id_, reason="fixed")

    assert "0 9 * * 1-5" in active
    assert offers(active) == offers(await row()) == ["pauseSchedule"]
    assert offers(paused) == ["resumeSchedule"]
    assert "Operator" in paused


async def test_admin_reads_sessions_and_tasks_of_the_tenant_that_was_picked(
    service: InProcess, ann: TaskAgent
) -> None:
    id_ = await give_up(ann)
    cookie = await log_in(service, service.credentials["adminKey"])
    picked = cookie_of(await post(service, "/tenant", cookie, tenant="default"))

    for path in ("/sessions", "/task-lists", "/schedules"):
        await text_of(service, path, picked)
    assert "retryTask" in offers(await text_of(service, f"/tasks/{id_}", picked))


async def test_auditor_has_the_pages_without_actions(service: InProcess, ann: TaskAgent) -> None:
    id_ = await give_up(ann)
    cookie = await log_in(service, (await issue(service, "auditor"))["key"])

    for path in ("/tasks", f"/tasks/{id_}", "/tasks/state/dead", "/schedules"):
        assert offers(await text_of(service, path, cookie)) == []
