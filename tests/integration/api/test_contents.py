"""`GET /v1/events/contents` returns the message bodies to which events refer."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from quorate.domain.shared.contents import Content
from quorate.eventlog import pages
from tests.integration.api.asgi_client import AsgiRequest
from tests.integration.api.in_process import InProcess, append_beside, run_in_process


def content(id_: str, part: str = "text", data: bytes = b"hello") -> Content:
    return Content(id=id_, part=part, salt=b"s" * 16, data=data)


GIVEN = (content("msg_1"), content("msg_1", "html"), content("msg_2", data=b"\xff" * 100))


def as_json(one: Content, sequence: int) -> dict[str, Any]:
    data = b64encode(one.data).decode()
    return {"id": one.id, "part": one.part, "salt": "73" * 16, "data": data, "sequence": sequence}


async def fill(service: InProcess) -> int:
    """Append events with contents, and return the sequence of the first one."""
    log, tenant = service.running.service.log, service.credentials["tenantId"]
    head = await log.committed_sequence(tenant)
    await append_beside(service, "msg_1", *GIVEN[:2])
    await append_beside(service, "msg_2", GIVEN[2])
    return head + 1


async def test_contents_are_listed_with_the_sequences_of_their_events(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        first = await fill(service)
        expected = [
            as_json(GIVEN[1], first),
            as_json(GIVEN[0], first),
            as_json(GIVEN[2], first + 1),
        ]

        found = (await service.get("/v1/events/contents")).json
        assert found["contents"] == expected
        assert found["next"] == found["head"] == first + 1
        after = (await service.get(f"/v1/events/contents?after={first}")).json
        assert after["contents"] == expected[2:]
        limited = (await service.get(f"/v1/events/contents?limit={first}")).json
        assert (limited["contents"], limited["next"]) == (expected[:2], first)
        assert (await service.get("/v1/events/contents?after=99")).status == 409


async def test_page_ends_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 20)
    async with run_in_process(tmp_path / "data") as service:
        first = await fill(service)

        page = (await service.get(f"/v1/events/contents?after={first - 1}")).json
        assert [one["id"] for one in page["contents"]] == ["msg_1", "msg_1"]
        assert page["next"] == first
        last = (await service.get(f"/v1/events/contents?after={page['next']}")).json
        assert [one["id"] for one in last["contents"]] == ["msg_2"]
        assert last["next"] == last["head"]


async def test_agents_cannot_read_the_bodies_of_others(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await fill(service)
        body = {"role": "agent", "agentName": "ann"}
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        issued = await service.call("POST", "/v1/keys", body)
        assert issued.status in {200, 201}, issued.json

        response = await service.get("/v1/events/contents", key=issued.json["key"])

        assert response.status == 403
        request = AsgiRequest(method="GET", path="/v1/events/contents", headers=[])
        assert (await service.ask(request)).status == 401
