"""Attachments of mail from outside, by both faces of the SDK and by the command line."""

from base64 import b64encode

import pytest

from quorate.client import AgentRef, Client, MailMessage
from quorate.client.blocking import Agent as BlockingAgent
from quorate.client.mail_rejections import AttachmentNotFoundError, AttachmentNotStoredError
from quorate.contracts.downloads import Download
from tests.e2e.client.agent_fleet import Fleet, time_limit

DATA = bytes(range(256)) * 6_000  # Larger than a message of NATS.
NAME = "Preise für Kim.pdf"
PDF = Download(name=NAME, content_type="application/pdf", data=DATA)


async def receive_file(fleet: Fleet, to: str) -> None:
    raw = (
        f"From: kim@example.com\r\nTo: {to}\r\nContent-Type: application/pdf\r\n"
        "Content-Disposition: attachment; filename*=UTF-8''Preise%20f%C3%BCr%20Kim.pdf\r\n"
        f"Content-Transfer-Encoding: base64\r\n\r\n{b64encode(DATA).decode()}\r\n"
    )
    server = await fleet.tenant.create_mail_server()
    headers = {"Content-Type": "message/rfc822"}
    received = await server.request("POST", "/email/inbound", content=raw, headers=headers)
    assert received.json()["accepted"] == [to], received.text


async def test_agent_downloads_an_attachment(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        await receive_file(fleet, await ann.mail.address())
        message = await anext(ann.mail.incoming(since=0))

        assert [(one.number, one.name) for one in message.attachments] == [(1, NAME)]
        assert await ann.mail.attachment(message) == PDF
        with pytest.raises(AttachmentNotFoundError):
            await ann.mail.attachment(message.message_id, 2)
        path = f"/email/message/{message.message_id}/erase"
        await fleet.tenant.request_ok("POST", path, {})
        with pytest.raises(AttachmentNotStoredError, match="erased"):
            await ann.mail.attachment(message)


async def test_blocking_agent_and_client_download_an_attachment(fleet: Fleet) -> None:
    url, key = fleet.service.url, await fleet.get_key("ann")
    with BlockingAgent.connect(url, key, nats_url=fleet.nats_url) as ann:
        await receive_file(fleet, ann.mail.address())
        message: MailMessage = next(ann.mail.incoming(since=0))
        assert ann.mail.attachment(message, 1) == PDF
    with Client(url, key) as client:
        assert client.mail.attachment(AgentRef(), message.message_id, 1) == PDF
