"""Search of sessions over HTTP: hits, snippets, and the policy before the count."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.session_service import SessionAgent, create_agents

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("search") / "data") as service:
        yield service


async def found(agent: SessionAgent, query: str, **fields: Any) -> list[Any]:  # noqa: ANN401
    """Search until there is a hit: messages are indexed a moment after they are stored."""
    for _ in range(500):
        page = await agent.call("sessions_search", query=query, **fields)
        assert page["count"] == len(page["results"])
        if page["results"]:
            break
        await asyncio.sleep(0.02)
    results: list[Any] = page["results"]
    return results


async def test_search_finds_the_newest_match_of_each_session_that_is_visible(
    service: InProcess,
) -> None:
    ann, bob = await create_agents(service, "ann", "bob")
    preset = {"sessions": {"key_prefix": "agent:ann:"}}
    path = "/v1/presets/observer"
    (cat,) = await create_agents(service, "cat")
    text = "a" * 50 + " Checkpoint and then ROLLBACK " + "b" * 90
    for number in range(3):
        await cat.call("sessions_send", key=ann.main, message=f"{text}{number}")
    for _ in range(30):
        await cat.call("sessions_send", key=bob.main, message={"step": "rollback checkpoint"})
    await cat.call("sessions_send", key=bob.main, message="marker")
    assert await found(cat, "marker")  # All messages before it are indexed too.
    hits = await found(cat, "checkpoint rollback")
    assert [(one["key"], one["messageIndex"]) for one in hits] == [(bob.main, 29), (ann.main, 2)]
    assert hits[1]["snippet"].startswith("a" * 39 + " Checkpoint and then ROLLBACK")
    assert len(hits[1]["snippet"]) == 100
    assert len(await found(cat, "rollback", per_session=3, limit=20)) == 6
    others = await found(bob, "rollback", _session_key=bob.main)
    assert [one["key"] for one in others] == [ann.main]
    assert len(await found(bob, "rollback", _session_key=bob.main, excludeCurrent=False)) == 2
    put = await service.ask(json_request("PUT", path, preset, key=service.key))
    if put.status == 200:
        (dan,) = await create_agents(service, "dan", preset="observer")
        assert [one["key"] for one in await found(dan, "rollback", limit=1)] == [ann.main]
