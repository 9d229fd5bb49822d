"""Presets over HTTP: applied, listed, bound to keys, and removed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.in_process import InProcess, run_in_process

OBSERVER: dict[str, Any] = {
    "tools": {"allow": ["sessions_list"]},
    "sessions": {"key_prefix": "agent:research:", "can_send": False},
}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as running:
        yield running


async def put(service: InProcess, name: str, preset: dict[str, Any]) -> Any:  # noqa: ANN401
    return await service.call("PUT", f"/v1/presets/{name}", preset)


async def test_preset_is_applied_read_listed_and_removed(service: InProcess) -> None:
    applied = await put(service, "observer", OBSERVER)
    assert (applied.status, applied.json["preset"]) == (200, OBSERVER)

    assert (await service.get("/v1/presets/observer")).json == applied.json
    assert [one["name"] for one in (await service.get("/v1/presets")).json] == ["observer"]

    removed = await service.call("DELETE", "/v1/presets/observer")
    assert removed.json == {"name": "observer", "removed": True}
    missing = await service.get("/v1/presets/observer")
    assert (missing.status, missing.json["code"]) == (404, "preset_not_found")
    assert missing.json["detail"] == "preset not found: observer"
    assert (await service.call("DELETE", "/v1/presets/observer")).status == 404


async def test_each_change_is_one_event(service: InProcess) -> None:
    for preset in (OBSERVER, OBSERVER, {}):
        await put(service, "observer", preset)
    await service.call("DELETE", "/v1/presets/observer")

    events = (await service.get("/v1/events?limit=100")).json["events"]
    types = [one["type"] for one in events if one["type"].startswith("Preset")]
    assert types == ["PresetApplied", "PresetApplied", "PresetRemoved"]


@pytest.mark.parametrize(
    ("preset", "text"),
    [
        ({"tool": {}}, "tool"),
        ({"sessions": {"prefix": "x"}}, "sessions.prefix"),
        ({"tool_controls": {"tool_choice": {"type": "tool"}}}, "tool_controls.tool_choice"),
        ({"tools": {"allow": "x"}}, "tools.allow"),
    ],
    ids=str,
)
async def test_unknown_or_invalid_field_is_named(
    service: InProcess, preset: dict[str, Any], text: str
) -> None:
    refused = await put(service, "observer", preset)

    assert refused.status == 422
    assert text in refused.json["detail"]


async def test_hint_about_sessions_of_other_agents_is_returned(service: InProcess) -> None:
    applied = await put(service, "coordinator", {"sessions": {"can_send": True}})

    assert "sessions.cross_agent = true" in applied.json["hints"][0]


async def test_key_is_bound_to_a_preset_that_exists(service: InProcess) -> None:
    key = {"role": "agent", "agentName": "ann", "preset": "observer"}
    unknown = await service.call("POST", "/v1/keys", key)
    assert (unknown.status, unknown.json["code"]) == (404, "preset_not_found")

    await put(service, "observer", OBSERVER)
    issued = await service.call("POST", "/v1/keys", key)
    assert issued.json["preset"] == "observer"
    own = await service.get("/v1/keys/self", key=issued.json["key"])
    assert own.json["preset"] == "observer"

    rotated = await service.call("POST", f"/v1/keys/{issued.json['id']}/rotate", {})
    assert rotated.json["preset"] == "observer"
    other_role = await service.call("POST", "/v1/keys", {"role": "auditor", "preset": "observer"})
    assert other_role.status == 422


async def test_preset_of_another_tenant_is_unknown(service: InProcess) -> None:
    await put(service, "observer", OBSERVER)
    admin = service.credentials["adminKey"]
    await service.call("POST", "/v1/tenants", {"tenantId": "other"}, key=admin)
    key = {"role": "agent", "agentName": "ann", "preset": "observer", "tenantId": "other"}

    refused = await service.call("POST", "/v1/keys", key, key=admin)

    assert (refused.status, refused.json["code"]) == (404, "preset_not_found")
