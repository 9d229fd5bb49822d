"""Search over HTTP: found soon after the send, in pages, and never after an erasure."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.conformance.eventlog.conformance import until
from tests.integration.api.in_process import InProcess, run_in_process


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "service") as service:
        for name in ("ann", "bob", "cid"):
            await service.call("POST", "/v1/agent/register", {"agentName": name})
        yield service


async def send(service: InProcess, text: str, subject: str = "") -> str:
    body = {"agent_name": "ann", "to": ["bob@agents.localhost"], "subject": subject}
    response = await service.call("POST", "/email/send", {**body, "body_text": text})
    return str(response.json["message_id"])


async def search(service: InProcess, query: str, agent: str = "bob", more: str = "") -> Any:  # noqa: ANN401 - JSON.
    response = await service.get(f"/email/search?agent_name={agent}&q={quote(query)}{more}")
    assert response.status == 200, response.body
    return response.json


async def test_search_finds_a_sent_message_in_both_mailboxes(service: InProcess) -> None:
    message_id = await send(service, "We open the café tomorrow.", "Plan")

    async def is_found() -> bool:
        return bool((await search(service, "CAFE"))["total"])

    await until(is_found)
    (found,) = (await search(service, "cafe plan"))["messages"]
    assert found["message_id"] == message_id
    assert found["direction"] == "inbound"
    assert found["snippet"] == "We open the **café** tomorrow."
    assert (await search(service, "cafe", "ann"))["messages"][0]["direction"] == "outbound"
    assert (await search(service, "cafe", "cid"))["total"] == 0
    assert (await search(service, '"cafe* OR -NEAR('))["total"] == 0

    assert (await service.call("POST", f"/email/message/{message_id}/erase", {})).status == 200
    nothing = await search(service, "cafe")
    assert (nothing["total"], nothing["has_more"]) == (0, False)


async def test_pages_of_a_search_follow_each_other(service: InProcess) -> None:
    sent = [await send(service, f"plan {number}") for number in range(5)]

    async def are_found() -> bool:
        return bool((await search(service, "plan"))["total"] == len(sent))

    await until(are_found)
    found: list[str] = []
    cursor = ""
    for has_more in (True, True, False):
        page = await search(service, "plan", more=f"&limit=2{cursor}")
        found += [one["message_id"] for one in page["messages"]]
        assert page["has_more"] is has_more
        cursor = f"&cursor={page['cursor']}"
    assert found == sent[::-1]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("agent_name=bob", "q: "),
        ("agent_name=bob&q=", "q: "),
        ("agent_name=bob&q=a&cursor=x", "cursor: "),
        ("agent_name=bob&q=a&cursor=1.2", "cursor: "),
        ("agent_name=bob&q=a&cursor=99999999999999999999", "cursor: "),
        ("q=a", ""),
        ("", ""),
    ],
)
async def test_invalid_searches_are_rejected(service: InProcess, query: str, problem: str) -> None:
    response = await service.get(f"/email/search?{query}")

    assert 400 <= response.status < 500
    assert problem in response.json["detail"]
