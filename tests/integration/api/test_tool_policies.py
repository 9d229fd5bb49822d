"""Policies of tools over HTTP, NATS and MCP, against a naive second implementation.

Every combination of the fields of a session policy is a preset of its own, with an agent and a key.
"""

from collections.abc import AsyncIterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.application.sessions import tool_calls
from quorate.bus.command_tasks import CommandRequest
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.subjects import CommandSubject
from quorate.contracts.operations import AnyOperation
from quorate.contracts.registry import OPERATIONS
from quorate.domain.sessions.policies import Access, SessionRule
from quorate.domain.shared.records import changed, record
from quorate.projections.agent_names import AgentNames
from tests.integration.api.asgi_client import AsgiRequest
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS: Mapping[str, AnyOperation] = {one.tool: one for one in OPERATIONS if one.tool is not None}
# What a tool needs to be called at all; what it answers besides a denial does not matter here.
INPUTS: Mapping[str, dict[str, Any]] = {
    "sessions_history": {"key": "agent:research:main"},
    "sessions_search": {"query": "x"},
    "sessions_send": {"key": "agent:research:main", "message": "x"},
    "sessions_delete": {"key": "agent:research:main"},
    "branch_session": {"label": "x"},
    "session_state": {"operation": "list", "namespace": "x"},
    "spawn_agent": {"task": "x", "nonblocking": True},
    "spawn_status": {"task_id": "x"},
    "spawn_result": {"task_id": "x"},
    "cancel_spawn": {"task_id": "x"},
    "task_list": {"action": "list"},
    "schedule": {"action": "list"},
}
PREFIXES = [None, "agent:research:", "session:"]
KEYS = [None, [], ["agent:coder:main", "session:shared"]]
SWITCHES = [None, False, True]
TRANSPORTS = ("http", "nats", "mcp")
OTHERS = ("agent:research:main", "agent:coder:main", "session:shared")


@record
class Caller:
    """An agent whose key is bound to a preset."""

    agent_id: str
    name: str
    key: str

    @property
    def main(self) -> str:
        return f"agent:{self.name}:main"


class Transports:
    """Calls one tool over each transport; returns the code of the problem, or the result."""

    def __init__(self, service: InProcess) -> None:
        self.service = service
        log = service.running.service.log
        self._nats = NatsCommandHandler(
            service.running.service, AgentNames(log), tuple(TOOLS.values())
        )

    async def call(self, caller: Caller, tool: str, **fields: Any) -> list[Any]:  # noqa: ANN401
        return [
            await self._over_http(caller, tool, fields),
            await self._over_nats(caller, tool, fields),
            await self._over_mcp(caller, tool, fields),
        ]

    async def _over_http(self, caller: Caller, tool: str, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401
        path = f"/v1/tools/{tool}"
        response = await self.service.call("POST", path, dict(fields), key=caller.key)
        return response.json if response.status == 200 else response.json["code"]

    async def _over_nats(self, caller: Caller, tool: str, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401
        request = CommandRequest(
            sender=CommandSubject(
                tenant=self.service.credentials["tenantId"],
                agent_id=caller.agent_id,
                operation=TOOLS[tool].name,
            ),
            headers={},
            body=orjson.dumps(fields),
            response_bytes_max=2**20,
        )
        body = orjson.loads((await self._nats.handle(request)).body)
        return body["code"] if "requestId" in body else body

    async def _over_mcp(self, caller: Caller, tool: str, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401
        answer = await self.mcp(caller, "tools/call", name=tool, arguments=dict(fields))
        result = answer["result"]
        content = result["structuredContent"]
        return content["code"] if result.get("isError") else content

    async def mcp(self, caller: Caller, method: str, **params: object) -> Any:  # noqa: ANN401
        sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2025-11-25"),
            ("Authorization", f"Bearer {caller.key}"),
        ]
        path = "/mcp?profile=sessions"
        request = AsgiRequest(
            method="POST", path=path, headers=headers, chunks=(orjson.dumps(sent),)
        )
        return (await self.service.ask(request)).json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def transports(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Transports]:
    folder: Path = tmp_path_factory.mktemp("policies") / "data"
    async with run_in_process(folder) as service:
        for name in ("research", "coder"):
            await service.call("POST", "/v1/agent/register", {"agentName": name})
        shared = {"agent_name": "coder", "key": "session:shared"}
        created = await service.call("POST", "/v1/tools/sessions_create", shared)
        assert created.status == 200, created.body
        yield Transports(service)


async def bind(service: InProcess, name: str, preset: dict[str, Any]) -> Caller:
    """Return a new agent that is bound to a new preset of the same name."""
    applied = await service.call("PUT", f"/v1/presets/{name}", preset)
    assert applied.status == 200, applied.body
    body = {"role": "agent", "agentName": name, "preset": name}
    issued = (await service.call("POST", "/v1/keys", body)).json
    registered = await service.call("POST", "/v1/agent/register", {"agentName": name})
    return Caller(agent_id=registered.json["id"], name=name, key=issued["key"])


# -- The second implementation -------------------------------------------------


def naively_visible(rule: Mapping[str, Any], key: str, *, mine: bool) -> bool:
    if not rule or key in rule.get("allowed_keys", ()):
        return True
    if "key_prefix" in rule:
        wide = mine or rule.get("cross_agent", True)
        return key.startswith(rule["key_prefix"]) and wide
    return "allowed_keys" not in rule and (mine or rule.get("cross_agent", False))


def policies() -> list[dict[str, Any]]:
    names = ("key_prefix", "allowed_keys", "cross_agent", "can_send")
    return [
        {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for values in product(PREFIXES, KEYS, SWITCHES, [None, False])
    ]


async def find_holes(transports: Transports) -> list[str]:
    """Compare what each policy shows, and where messages may be sent, over each transport."""
    holes: list[str] = []
    service = transports.service
    for number, rule in enumerate(policies()):
        name = f"me-{len(holes)}-{number}-{next(_runs)}"
        me = await bind(service, name, {"sessions": rule} if rule else {})
        keys = [me.main, *OTHERS]
        visible = {key for key in keys if naively_visible(rule, key, mine=key == me.main)}
        for key in keys:
            answers = await transports.call(me, "sessions_list", filter=key)
            for way, listed in zip(TRANSPORTS, answers, strict=True):
                if (key in {one["key"] for one in listed["sessions"]}) != (key in visible):
                    holes.append(f"list {way} {rule}: {key}")
            answers = await transports.call(me, "sessions_history", key=key)
            for way, read in zip(TRANSPORTS, answers, strict=True):
                expected = "" if key in visible else "session_access_denied"
                if (read if isinstance(read, str) else "") != expected:
                    holes.append(f"history {way} {rule}: {key}")
        expected = "session_access_denied" if OTHERS[0] not in visible else ""
        if not expected and not rule.get("can_send", True):
            expected = "session_send_denied"
        answers = await transports.call(me, "sessions_send", key=OTHERS[0], message="hello")
        for way, sent in zip(TRANSPORTS, answers, strict=True):
            if (sent if isinstance(sent, str) else "") != expected:
                holes.append(f"send {way} {rule}: {sent}")
    return holes


_runs = iter(range(1_000_000))


# -- Tests -----------------------------------------------------------------------


async def test_every_policy_holds_over_every_transport(transports: Transports) -> None:
    assert await find_holes(transports) == []


@pytest.mark.parametrize(
    ("ignored", "found_by"),
    [
        ("key_prefix", "history"),
        ("allowed_keys", "history"),
        ("cross_agent", "history"),  # As in the original.
        ("can_send", "send"),
    ],
)
async def test_field_without_effect_is_found(
    transports: Transports, monkeypatch: pytest.MonkeyPatch, ignored: str, found_by: str
) -> None:
    """The comparison can fail: it finds a rule that ignores one of its fields."""
    if ignored == "can_send":
        monkeypatch.setattr(Access, "may_send", True)
    else:
        shows = SessionRule.shows

        def shows_more(rule: SessionRule, key: str, *, is_own: bool) -> bool:
            given = {ignored: True if ignored == "cross_agent" else None}
            return shows(changed(rule, **given), key, is_own=is_own)

        monkeypatch.setattr(SessionRule, "shows", shows_more)
    narrow(monkeypatch)

    holes = await find_holes(transports)

    assert {one.split()[1] for one in holes if one.startswith(found_by)} == set(TRANSPORTS)


@pytest.mark.parametrize("unguarded", TRANSPORTS)
async def test_transport_without_policies_is_found(
    transports: Transports, monkeypatch: pytest.MonkeyPatch, unguarded: str
) -> None:
    """The comparison can fail: it finds one transport that loses the presets of the key."""
    preset_names = tool_calls._preset_names

    async def lose(service: Service, call: Call) -> tuple[str, ...]:
        is_over_nats = not call.principal.key_id
        over_http = "mcp" if b"mcp-protocol-version" in call.headers else "http"
        found = await preset_names(service, call)
        return () if (("nats" if is_over_nats else over_http) == unguarded) else found

    monkeypatch.setattr(tool_calls, "_preset_names", lose)
    narrow(monkeypatch)

    holes = await find_holes(transports)

    assert {one.split()[1] for one in holes} == {unguarded}
    me = await bind(
        transports.service, f"loses-{unguarded}", {"tools": {"deny": ["sessions_list"]}}
    )
    answers = await transports.call(me, "sessions_list")
    is_denied = [answer == "tool_denied" for answer in answers]
    assert is_denied == [way != unguarded for way in TRANSPORTS]


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare fewer policies: enough to tell the fields apart."""
    module = "tests.integration.api.test_tool_policies"
    monkeypatch.setattr(f"{module}.PREFIXES", [None, OTHERS[0]])
    monkeypatch.setattr(f"{module}.KEYS", [None, ["agent:coder:main", "session:shared"]])
    monkeypatch.setattr(f"{module}.SWITCHES", [None, False])


async def test_denied_tool_is_refused_and_not_offered_over_every_transport(
    transports: Transports,
) -> None:
    service = transports.service
    for tool in TOOLS:
        for number, rule in enumerate(({"deny": [tool]}, {"allow": [], "deny": []})):
            me = await bind(service, f"no-{tool}-{number}".replace("_", "-"), {"tools": rule})
            answers = await transports.call(me, tool, **INPUTS.get(tool, {}))
            assert answers == ["tool_denied"] * 3, tool
            listed = (await service.get("/v1/tools", key=me.key)).json["tools"]
            offered = (await transports.mcp(me, "tools/list"))["result"]["tools"]
            names = [{one["name"] for one in found} for found in (listed, offered)]
            assert names == [set(TOOLS) - {tool} if number == 0 else set()] * 2


async def test_allowed_tool_is_not_refused_over_any_transport(transports: Transports) -> None:
    for tool in TOOLS:
        name = f"only-{tool}".replace("_", "-")
        me = await bind(transports.service, name, {"tools": {"allow": [tool]}})
        answers = await transports.call(me, tool, **INPUTS.get(tool, {}))
        assert "tool_denied" not in answers, tool


async def test_second_preset_of_an_agent_narrows_its_commands_over_nats(
    transports: Transports,
) -> None:
    """NATS does not say which key is used, so the presets of all keys hold."""
    service = transports.service
    me = await bind(service, "two-keys", {})
    second = await bind(service, "denied", {"tools": {"deny": ["sessions_list"]}})
    body = {"role": "agent", "agentName": "two-keys", "preset": "denied"}
    assert (await service.call("POST", "/v1/keys", body)).status == 200

    over_http, over_nats, over_mcp = await transports.call(me, "sessions_list")

    assert over_nats == "tool_denied"
    assert "sessions" in over_http
    assert "sessions" in over_mcp
    assert await transports.call(second, "sessions_list") == ["tool_denied"] * 3


async def test_preset_in_the_header_narrows_a_request(transports: Transports) -> None:
    service = transports.service
    me = await bind(service, "narrowed", {"tools": {"allow": ["sessions_list"]}})
    await service.call("PUT", "/v1/presets/nothing", {"tools": {"allow": []}})

    async def status(preset: str) -> tuple[int, str]:
        headers = [
            ("Authorization", f"Bearer {me.key}"),
            ("Content-Type", "application/json"),
            ("Quorate-Preset", preset),
        ]
        request = AsgiRequest(
            method="POST", path="/v1/tools/sessions_list", headers=headers, chunks=(b"{}",)
        )
        response = await service.ask(request)
        return response.status, response.json.get("code", "")

    assert await status("nothing") == (403, "tool_denied")
    assert await status("unknown") == (403, "tool_denied")
    assert await status("narrowed") == (200, "")
    assert await status("not a name") == (422, "invalid_request")
