"""A cursor of another log is rejected by every operation that continues after a sequence."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.contracts.event_log import CursorQuery
from quorate.contracts.mail.messages import SEARCH_MAIL
from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS
from quorate.contracts.sessions.tasks import GET_TASK
from quorate.contracts.wire_models import PageQuery
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process

WITH_CURSOR = tuple(
    one for one in OPERATIONS if one.query is not None and issubclass(one.query, CursorQuery)
)
PAGES = tuple(one for one in WITH_CURSOR if not one.streams)
STREAMS = tuple(one for one in WITH_CURSOR if one.streams)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as service:
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        yield service


def path(operation: AnyOperation, query: str) -> str:
    assert operation.query is not None
    agent = "agentName=ann&" if "agent_name" in operation.query.model_fields else ""
    return f"{operation.path}?{agent}{query}".rstrip("&?")


def is_mismatch(response: AsgiResponse, service: InProcess) -> bool:
    if (response.status, response.json.get("code")) != (409, "log_mismatch"):
        return False
    return bool(response.json["logId"] == service.running.service.log.id)


# Operations whose `after` is a time, or counts the events of a task.
_OTHER_MEANINGS = frozenset({SEARCH_MAIL.name, GET_TASK.name})


def test_every_operation_that_continues_after_a_sequence_checks_its_log() -> None:
    continuing = {
        one.name
        for one in OPERATIONS
        if one.query is not None
        and "after" in one.query.model_fields
        and not issubclass(one.query, PageQuery)  # Its cursor is an id.
        and one.name not in _OTHER_MEANINGS
    }

    assert continuing == {one.name for one in WITH_CURSOR}
    assert len(continuing) >= 4


@pytest.mark.parametrize("operation", WITH_CURSOR, ids=lambda one: one.name)
async def test_cursor_beyond_the_head_is_rejected(
    service: InProcess, operation: AnyOperation
) -> None:
    page = (await service.get(path(PAGES[0], "limit=1"))).json
    beyond = page["head"] + 1
    response = await service.get(path(operation, f"after={beyond}"))

    assert is_mismatch(response, service)
    assert response.json["head"] == page["head"]
    if operation in PAGES:
        at_head = await service.get(path(operation, f"after={page['head']}"))
        assert at_head.status == 200
        assert at_head.json["next"] == at_head.json["head"] == page["head"]


@pytest.mark.parametrize("operation", STREAMS, ids=lambda one: one.name)
async def test_last_event_id_beyond_the_head_is_rejected(
    service: InProcess, operation: AnyOperation
) -> None:
    headers = [("Authorization", f"Bearer {service.key}"), ("Last-Event-ID", "999")]
    request = AsgiRequest(method="GET", path=path(operation, ""), headers=headers)

    assert is_mismatch(await service.ask(request), service)


async def test_long_poll_beyond_the_head_is_rejected_at_once(service: InProcess) -> None:
    (operation,) = (one for one in PAGES if one.name == "listNotifications")
    response = await service.get(path(operation, "after=999&wait=30"))

    assert is_mismatch(response, service)


@pytest.mark.parametrize("operation", WITH_CURSOR, ids=lambda one: one.name)
async def test_cursor_of_another_log_is_rejected_also_when_this_log_is_longer(
    service: InProcess, operation: AnyOperation
) -> None:
    response = await service.get(path(operation, "after=1&logId=another"))

    assert is_mismatch(response, service)


@pytest.mark.parametrize("operation", PAGES, ids=lambda one: one.name)
async def test_page_names_its_log_and_continues_with_it(
    service: InProcess, operation: AnyOperation
) -> None:
    page = (await service.get(path(operation, "limit=1"))).json
    following = await service.get(path(operation, f"after={page['next']}&logId={page['logId']}"))

    assert following.status == 200
    assert following.json["logId"] == page["logId"] == service.running.service.log.id


async def test_log_keeps_its_id_over_restarts_and_another_log_has_another(tmp_path: Path) -> None:
    ids = []
    for folder in ("one", "one", "two"):
        async with run_in_process(tmp_path / folder) as service:
            ids.append(service.running.service.log.id)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    async with run_in_process(tmp_path / "copy") as service:
        ids.append(service.running.service.log.id)

    assert ids[0] == ids[1] == ids[3], "a copy of the files is the same log"
    assert ids[0] != ids[2]
