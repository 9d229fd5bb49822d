"""Attachments of messages from outside are listed, and downloaded by who may read the message."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any

import pytest
import pytest_asyncio

from quorate.application.mail.inbound_message import ATTACHMENTS_BYTES_MAX
from quorate.application.rate_limiter import Rates
from quorate.contracts.mail.messages import INBOUND_BYTES_MAX
from tests.integration.api.asgi_client import AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.server.inbound_service import InboundService, create_inbound, raw_message

pytestmark = pytest.mark.asyncio(loop_scope="module")
MANY = 98
READ_BYTES = 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("attachments")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def service(running: InProcess) -> InboundService:
    return await create_inbound(running, "ann", "bob")


def with_files(to: str, *files: tuple[str, str, bytes], number: int = 1) -> bytes:
    """Return a message with these files: name, media type and data."""
    parts = [b"--b\r\nContent-Type: text/plain\r\n\r\nSee the files.\r\n"]
    for name, media, data in files:
        head = f'Content-Type: {media}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        encoded = "Content-Transfer-Encoding: base64\r\n\r\n"
        parts.append(f"--b\r\n{head}{encoded}".encode() + b64encode(data) + b"\r\n")
    message = raw_message(
        to,
        message_id=f"<{number}@example.com>",
        Content_Type='multipart/mixed; boundary="b"',
        text="",
    )
    return message + b"".join(parts) + b"--b--\r\n"


async def receive(service: InboundService, *files: tuple[str, str, bytes]) -> tuple[str, Any]:
    """Receive a message with files; return its id and its list of attachments."""
    found = await service.receive(with_files(service.ann, *files))
    assert found["accepted"] == [service.ann], found
    message_id = found["message_id"]
    return message_id, await listed(service, message_id)


async def listed(service: InboundService, message_id: str) -> Sequence[Any]:
    message = await service.ok("GET", f"/email/message/{message_id}?agent_name=ann")
    assert message["has_attachments"]
    return list(message["attachments"])


async def download(
    service: InboundService, message_id: str, number: object = 1, *, agent: str | None = "ann"
) -> AsgiResponse:
    named = "" if agent is None else f"?agent_name={agent}"
    path = f"/email/message/{message_id}/attachment/{number}{named}"
    return await service.service.get(path, key=service.key)


async def test_file_is_downloaded_as_it_was_sent(service: InboundService) -> None:
    data = bytes(range(256)) * 10
    message_id, files = await receive(service, ("offer.pdf", "application/pdf", data))

    found = await download(service, message_id)

    assert files == [
        {
            "number": 1,
            "name": "offer.pdf",
            "content_type": "application/pdf",
            "size": len(data),
            "sha256": sha256(data).hexdigest(),
            "stored": True,
        }
    ]
    assert (found.status, found.body) == (200, data)
    assert found.header("content-type") == "application/pdf"
    assert (found.header("content-disposition") or "").startswith(
        'attachment; filename="offer.pdf"'
    )
    assert found.header("x-content-type-options") == "nosniff"
    assert found.header("content-length") == str(len(data))


async def test_hostile_names_and_types_are_harmless(service: InboundService) -> None:
    message_id, files = await receive(
        service,
        ("../../.ssh/authorized_keys", "text/html", b"<script>alert(1)</script>"),
        ("=?utf-8?q?a=0D=0ASet-Cookie:_x=E2=80=AEexe.txt?=", "x" * 300 + "/y", b"1"),
    )

    for number in (1, 2):
        found = await download(service, message_id, number)
        assert found.status == 200
        assert "sandbox" in (found.header("content-security-policy") or "")
        assert not {"/", "\\"} & set(found.header("content-disposition") or "")
        assert found.header("set-cookie") is None
    assert "/" not in files[0]["name"]


async def test_empty_file_and_many_files(service: InboundService) -> None:
    given = [(f"{number}.txt", "text/plain", b"x" * number) for number in range(MANY)]
    message_id, files = await receive(service, *given)

    assert [one["number"] for one in files] == list(range(1, MANY + 1))
    assert (await download(service, message_id, 1)).body == b""
    assert (await download(service, message_id, MANY)).body == b"x" * (MANY - 1)
    for unknown in (0, MANY + 1, -1, "1.0", "x", "%D9%A1", "9" * 30):
        found = await download(service, message_id, unknown)
        assert (found.status, found.json["code"]) == (404, "attachment_not_found"), unknown


async def test_file_of_the_largest_size_is_stored_and_what_exceeds_it_is_listed(
    service: InboundService,
) -> None:
    large = b"\0" * ATTACHMENTS_BYTES_MAX
    more = b"\1" * (4 * 1024 * 1024)
    assert len(with_files(service.ann, ("a", "a/b", large), ("b", "a/b", more))) < INBOUND_BYTES_MAX
    message_id, files = await receive(service, ("a", "a/b", large), ("b", "a/b", more))

    found = await download(service, message_id, 1)
    assert found.status == 200
    assert found.body == large
    missing = await download(service, message_id, 2)

    assert [(one["size"], one["stored"]) for one in files] == [
        (len(large), True),
        (len(more), False),
    ]
    assert files[1]["sha256"] == sha256(more).hexdigest()
    assert (missing.status, missing.json["code"]) == (404, "attachment_not_stored")
    assert missing.json["why"] == "too_large"


async def test_erased_file_is_not_found_and_listed_as_not_stored(service: InboundService) -> None:
    message_id, _ = await receive(service, ("a.txt", "text/plain", b"secret"))
    await service.ok("POST", f"/email/message/{message_id}/erase", {})

    found = await download(service, message_id)

    assert (found.status, found.json["code"]) == (404, "attachment_not_stored")
    assert found.json["detail"] == "The attachment is not stored: erased."
    assert b"secret" not in found.body
    assert [one["stored"] for one in await listed(service, message_id)] == [False]


async def test_only_who_may_read_the_message_gets_its_files(service: InboundService) -> None:
    message_id, _ = await receive(service, ("a.txt", "text/plain", b"secret"))
    other = await create_inbound(service.service, "ann")

    assert (await download(service, message_id, agent=None)).body == b"secret"  # The tenant.
    for caller, agent in ((service, "bob"), (other, "ann"), (other, None)):
        found = await download(caller, message_id, agent=agent)
        unknown = await download(caller, "msg_" + "0" * 32, agent=agent)
        assert (found.status, found.json["code"]) == (404, "message_not_found")
        assert found.body == unknown.body.replace(
            unknown.json["requestId"].encode(), found.json["requestId"].encode()
        )
    await service.ok("DELETE", f"/email/message/{message_id}?agent_name=ann")
    assert (await download(service, message_id)).json["code"] == "message_not_found"


async def test_downloaded_bytes_count_as_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    rates = Rates(read_bytes_per_tenant=READ_BYTES)
    async with run_in_process(tmp_path_factory.mktemp("rated"), rates=rates) as running:
        service = await create_inbound(running, "ann")
        data = b"x" * (8 * READ_BYTES)
        found = await service.receive(with_files(service.ann, ("a", "a/b", data)))

        assert (await download(service, found["message_id"])).body == data
        limited = await download(service, found["message_id"])

    assert (limited.status, limited.json["code"]) == (429, "rate_limited")
