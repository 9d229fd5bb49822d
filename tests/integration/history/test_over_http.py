"""The past over HTTP: the parameter, the header, links, and what a request leaves alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api.asgi_client import AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process

AGENTS, LEASES = "/v1/agent/agents", "/v1/agent/coordination/leases"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as service:
        yield service


async def register(service: InProcess, name: str) -> int:
    """Return the sequence after the registration."""
    answer = await service.call("POST", "/v1/agent/register", {"agentName": name})
    return sequence_of(answer)


def sequence_of(answer: AsgiResponse) -> int:
    assert answer.status == 200, answer.body
    return int(header(answer, "quorate-sequence"))


def header(answer: AsgiResponse, name: str) -> str:
    value = answer.header(name)
    assert value is not None, answer
    return value


def names(answer: AsgiResponse) -> list[str]:
    assert answer.status == 200, answer.body
    return sorted(one["agentName"] for one in answer.json)


async def test_page_of_the_past_names_its_moment_and_links_to_the_same(service: InProcess) -> None:
    for name in ("ann", "bob", "cid"):
        last = await register(service, name)
    await register(service, "dee")

    first = await service.get(f"{AGENTS}?asOf={last}&limit=2")
    link = header(first, "link")
    following = await service.get(link[1 : link.index(">")])

    assert header(first, "quorate-as-of") == header(first, "quorate-sequence") == str(last)
    assert sorted(names(first) + names(following)) == ["ann", "bob", "cid"]
    assert len(names(await service.get(AGENTS))) == 4


async def test_time_names_a_moment_and_links_keep_it(service: InProcess) -> None:
    await register(service, "ann")
    await register(service, "bob")
    event = (await service.get("/v1/events?type=AgentRegistered")).json["events"][-1]

    page = await service.get(f"{AGENTS}?asOf={event['at']}&limit=1")

    assert header(page, "quorate-as-of") == str(event["sequence"])
    link = header(page, "link")
    assert names(await service.get(link[1 : link.index(">")]))


@pytest.mark.parametrize(
    ("as_of", "status", "code"),
    [
        ("9000000000", 422, "invalid_request"),
        ("2999-01-01T00:00:00Z", 422, "invalid_request"),
        ("yesterday", 422, "invalid_request"),
        ("2001-01-01T00:00:00Z", 410, "gap"),
    ],
)
async def test_moment_that_cannot_be_read_is_a_problem(
    service: InProcess, as_of: str, status: int, code: str
) -> None:
    answer = await service.get(f"{AGENTS}?asOf={as_of}")

    assert (answer.status, answer.json["code"]) == (status, code)


async def test_problem_of_the_past_names_its_moment(service: InProcess) -> None:
    last = await register(service, "ann")

    answer = await service.get(f"{AGENTS}/agent_unknown?asOf={last}")

    assert answer.status == 404
    assert header(answer, "quorate-as-of") == str(last)


async def test_operation_without_a_past_rejects_the_parameter(service: InProcess) -> None:
    for path in ("/v1/quotas", "/v1/keys/self", "/v1/tools"):
        answer = await service.get(f"{path}?asOf=1")
        assert (answer.status, answer.json["code"]) == (422, "invalid_request"), path
    refused = await service.call("POST", "/v1/agent/register?asOf=1", {"agentName": "ann"})
    assert refused.status == 422


async def test_reading_the_past_does_not_mark_messages_as_read_or_wait(service: InProcess) -> None:
    for name in ("ann", "bob"):
        await register(service, name)
    mail = {"agent_name": "ann", "to": ["bob@agents.localhost"], "subject": "s", "body_text": "t"}
    sent = await service.call("POST", "/email/send", mail)
    assert sent.status == 200, sent.body
    sequence, message = sequence_of(sent), sent.json["message_id"]

    then = await service.get(f"/email/message/{message}?agent_name=bob&asOf={sequence}")
    inbox = await service.get(f"/email/inbox?agent_name=bob&unread_only=true&asOf={sequence}")
    empty = await service.get(f"/email/inbox?agent_name=ann&wait=30&asOf={sequence}")

    assert then.status == 200, then.body
    assert (inbox.json["total"], inbox.json["unread_count"]) == (1, 1)
    assert empty.json["total"] == 0
    now = await service.get("/email/inbox?agent_name=bob")
    assert now.json["unread_count"] == 1
