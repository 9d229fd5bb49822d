"""Explanations over HTTP: ids, sequences and codes; other tenants' ids are unknown."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.integration.api.in_process import InProcess, run_in_process

COORDINATION = "/v1/agent/coordination"
KIM = {"contactEmail": "kim@example.com"}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as running:
        yield running


async def ask(service: InProcess, path: str, body: object = None) -> dict[str, Any]:
    method = "GET" if body is None else "POST"
    response = await service.call(method, path, body)
    answer: dict[str, Any] = orjson.loads(response.body)
    return answer


async def explain(service: InProcess, id_: object) -> dict[str, Any]:
    return await ask(service, f"/v1/explain/{id_}")


async def test_lease_send_conflict_and_code_are_explained(service: InProcess) -> None:
    for name in ("ann", "bob"):
        await ask(service, "/v1/agent/register", {"agentName": name})
    lease = await ask(service, f"{COORDINATION}/lease", {"agentName": "ann", **KIM})
    refused = await ask(service, f"{COORDINATION}/lease", {"agentName": "bob", **KIM})
    assert refused["code"] == "lease_conflict"
    log = (await ask(service, "/v1/events"))["events"]
    conflict = log[-1]
    assert conflict["type"] == "LeaseConflicted"
    for id_ in (conflict["sequence"], conflict["id"]):
        found = await explain(service, id_)
        assert found["isComplete"]
        assert lease["fence"] in [fact["sequence"] for fact in found["facts"]]
        assert found["command"]["eventId"] == conflict["id"]
        assert found["possible"]
    sent = await ask(service, "/v1/agent/request-send", {"agentName": "bob", **KIM})
    blocked = await explain(service, sent.get("sendId") or sent["id"])
    assert blocked["outcome"] == "SendBlocked: lease_conflict"
    assert lease["fence"] in [fact["sequence"] for fact in blocked["facts"]]
    lease_id = lease.get("leaseId") or lease["id"]
    released = await service.call("DELETE", f"{COORDINATION}/lease/{lease_id}")
    assert released.status == 200, released.body
    ended = await explain(service, lease_id)
    assert ended["outcome"] == "LeaseReleased"
    assert [fact["sequence"] for fact in ended["facts"]] == [lease["fence"]]
    code = await explain(service, "lease_conflict")
    assert code["facts"] == []
    assert "command" not in code


async def test_unknown_ids_are_not_found(service: InProcess) -> None:
    for id_ in ("0", "999999", "d290f1ee-6c54-4b01-90e6-d701748f0851", "9" * 40, "%22"):
        assert (await explain(service, id_))["code"] == "nothing_to_explain"
