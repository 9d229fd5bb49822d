"""Every list of the registry is limited in bytes and in the budget of its readers."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, get_origin

import orjson
import pytest

from quorate.api.event_log import SCANNED_EVENT_BYTES
from quorate.api.registry import NATS_OPERATIONS
from quorate.application.rate_limiter import make_buckets
from quorate.bus.command_tasks import CommandRequest
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.subjects import CommandSubject
from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS
from quorate.domain.shared.contents import Content
from quorate.eventlog import pages
from quorate.projections.agent_names import AgentNames
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, append_beside, run_in_process
from tests.integration.api.task_agents import apply_preset

AGENTS = ("ann", "bob", "cid", "dan", "eve", "fay", "gil")
COORDINATION = "/v1/agent/coordination"
LIMIT = 1_000
ITEMS_MIN = 3


def is_list(operation: AnyOperation) -> bool:
    query = operation.query
    has_limit = query is not None and "limit" in query.model_fields
    return has_limit or get_origin(operation.response) is list


# Pages of mail have cursors and total counts: tests/integration/api/test_mail.py.
LISTS = tuple(one for one in OPERATIONS if is_list(one) and not one.path.startswith("/email/"))
OVER_NATS = tuple(one for one in LISTS if one in NATS_OPERATIONS)


class Filled:
    """A service in which every list has items."""

    def __init__(self, service: InProcess) -> None:
        self.service = service
        self.proposal = ""
        self.agent = ""

    async def fill(self) -> None:
        for name in AGENTS:
            registered = await self._call("/v1/agent/register", agentName=name)
            self.agent = self.agent or registered["id"]
            await self._call("/v1/keys", role="agent", agentName=name)
        for number in range(ITEMS_MIN):
            body = {"tenantId": f"tenant-{number}"}
            admin = self.service.credentials["adminKey"]
            request = json_request("POST", "/v1/tenants", body, key=admin)
            assert (await self.service.ask(request)).status == 200
        for number in range(ITEMS_MIN):
            preset = await self.service.call("PUT", f"/v1/presets/preset-{number}", {})
            assert preset.status == 200, preset.body
        for name in AGENTS[:ITEMS_MIN]:
            contact = f"{name}@example.com"
            await self._call(f"{COORDINATION}/lease", agentName=name, contactEmail=contact)
            proposal = await self._call(
                f"{COORDINATION}/consensus",
                proposerAgent=name,
                action="act",
                contactEmail=contact,
                reason="r" * 100,
            )
            self.proposal = self.proposal or proposal["id"]
        for name in AGENTS[:ITEMS_MIN]:
            path = f"{COORDINATION}/consensus/{self.proposal}/vote"
            await self._call(path, agentName=name, vote="approve")
        await self._give_up_tasks(AGENTS[0])
        await self._schedule_turns(AGENTS[0])
        for name in AGENTS[:ITEMS_MIN]:
            message = {"key": f"agent:{name}:main", "message": "hello"}
            await self._call("/v1/tools/sessions_send", agent_name=AGENTS[0], **message)
            await self._call("/v1/tools/task_list", agent_name=name, action="create", subject="s")

    async def _schedule_turns(self, agent: str) -> None:
        turn = {"kind": "agentTurn", "message": "m"}
        every = {"action": "create", "schedule": {"every_seconds": 3_600}, "payload": turn}
        for _ in range(ITEMS_MIN):
            body = {**every, "agent_name": agent}
            created = await self.service.call("POST", "/v1/tools/schedule", body)
            assert created.status == 200, created.body

    async def _give_up_tasks(self, agent: str) -> None:
        await apply_preset(self.service, "once", {"max_attempts": 1})
        for _ in range(ITEMS_MIN):
            spawn = {"agent_name": agent, "task": "t", "preset": "once", "nonblocking": True}
            await self.service.call("POST", "/v1/tools/spawn_agent", spawn)
            claim = {"agent_name": agent, "presets": ["once"]}
            task = (await self.service.call("POST", "/v1/tasks/claim", claim)).json["task"]
            report = {
                "agent_name": agent,
                "fence": task["fence"],
                "error": "no",
                "outcome": "retry",
            }
            failed = await self.service.call("POST", f"/v1/tasks/{task['task_id']}/fail", report)
            assert failed.status == 200, failed.body

    async def _call(self, path: str, **body: str) -> dict[str, Any]:
        response = await self.service.call("POST", path, body)
        assert response.status == 200, response.body
        return dict(response.json)

    def path(self, operation: AnyOperation) -> str:
        path = operation.path.format(consensus_id=self.proposal)
        query = operation.query
        names_agent = operation.name == "listNotifications"
        assert query is not None
        return f"{path}?limit={LIMIT}" + (f"&agentId={self.agent}" if names_agent else "")

    def key(self, operation: AnyOperation) -> str | None:
        """Return the admin key for an operation that only operators may call."""
        is_of_admins = operation.roles == {"admin"}
        return self.service.credentials["adminKey"] if is_of_admins else None

    async def pages(self, operation: AnyOperation) -> list[Sequence[Any]]:
        """Follow a list to its end."""
        first = self.path(operation)
        path: str | None = first
        read: list[Sequence[Any]] = []
        while path is not None:
            response = await self.service.get(path, key=self.key(operation))
            assert response.status == 200, response.body
            read.append(items_of(response.json))
            path = None
            if (link := response.header("link")) is not None:
                path = link[1 : link.index(">")]
            elif isinstance(response.json, dict) and response.json["next"] < response.json["head"]:
                path = f"{first}&after={response.json['next']}"
        return read


def items_of(body: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON.
    """Return the items of a list, or of the only list in a page."""
    if isinstance(body, list):
        return body
    (items,) = (value for value in body.values() if isinstance(value, list))
    return list(items)


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Filled]:
    async with run_in_process(tmp_path / "data") as service:
        filled = Filled(service)
        await filled.fill()
        for number in range(ITEMS_MIN):
            body = Content(id=f"msg_{number}", part="text", salt=b"s" * 16, data=b"hello")
            await append_beside(service, body.id, body)
        yield filled


def test_every_list_can_be_limited() -> None:
    assert len(LISTS) >= 7
    for operation in LISTS:
        assert operation.query is not None
        assert {"limit", "after"} <= operation.query.model_fields.keys(), operation.name


async def test_every_list_ends_at_its_limit_in_bytes(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {operation.name: await filled.pages(operation) for operation in LISTS}
    for limit in ("PAGE_BYTES_MAX", "NATS_PAGE_BYTES_MAX"):
        monkeypatch.setattr(pages, limit, 1)
    for operation in LISTS:
        (all_,) = whole[operation.name]
        parts = await filled.pages(operation)

        assert len(all_) >= ITEMS_MIN, operation.name
        assert {len(part) for part in parts} <= {0, 1}, operation.name
        assert [item for part in parts for item in part] == all_, operation.name


async def test_every_list_over_nats_fits_into_a_message(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = filled.service.running.service
    handler = NatsCommandHandler(service, AgentNames(service.log), OVER_NATS)

    async def ask(operation: AnyOperation) -> Sequence[Any]:
        fields = {"consensusId": filled.proposal} if "consensus_id" in operation.path else {}
        request = CommandRequest(
            sender=CommandSubject(
                tenant=filled.service.credentials["tenantId"],
                agent_id=filled.agent,
                operation=operation.name,
            ),
            headers={},
            body=orjson.dumps({**fields, "limit": LIMIT}),
            response_bytes_max=2**20,
        )
        return items_of(orjson.loads((await handler.handle(request)).body))

    for operation in OVER_NATS:
        assert len(await ask(operation)) >= ITEMS_MIN, operation.name
    monkeypatch.setattr(pages, "NATS_PAGE_BYTES_MAX", 1)
    for operation in OVER_NATS:
        assert len(await ask(operation)) == 1, operation.name


async def test_every_list_counts_against_the_budget_of_its_readers(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = filled.service.running.service.read_budget
    for operation in LISTS:
        monkeypatch.setattr(budget, "_tenants", make_buckets(1, 1))
        path, key = filled.path(operation), filled.key(operation)
        first = await filled.service.get(path, key=key)
        second = await filled.service.get(path, key=key)

        assert first.status == 200, operation.name
        assert (second.status, second.json["limitedBy"]) == (429, "tenant"), operation.name
        assert second.json["retryAfterSeconds"] > len(first.body) / 2, "it read that many bytes"
    heartbeat = await filled.service.call(
        "POST", f"{COORDINATION}/heartbeat", {"agentName": AGENTS[0]}
    )
    assert heartbeat.status == 200, "commands are not limited by reads"


async def test_filtered_page_of_the_log_counts_the_events_that_were_scanned(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = filled.service.running.service.read_budget
    monkeypatch.setattr(budget, "_tenants", make_buckets(1, 1))
    page = await filled.service.get("/v1/events?type=Unknown")
    rejected = await filled.service.get("/v1/events?type=Unknown")

    assert page.json["events"] == []
    scanned = page.json["next"]
    assert rejected.json["retryAfterSeconds"] > scanned * SCANNED_EVENT_BYTES * 0.9 > len(page.body)


async def test_page_of_the_log_since_a_time_does_not_count_earlier_events(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = filled.service.running.service.read_budget
    last = (await filled.service.get("/v1/events?limit=1000")).json["events"][-1]
    monkeypatch.setattr(budget, "_tenants", make_buckets(1, 1_500))
    path = f"/v1/events?limit=1&since={last['at']}"

    for _ in range(2):
        page = await filled.service.get(path)
        assert page.status == 200
        assert len(page.json["events"]) == 1
    assert last["sequence"] * SCANNED_EVENT_BYTES > 1_500, "all earlier events would be too many"
