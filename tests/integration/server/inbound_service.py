"""A service in this process that receives mail from outside, and messages to send to it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from quorate.runtime.service_defaults import MAIL_DOMAIN_DEFAULT
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse, json_request
from tests.integration.api.in_process import InProcess

_NUMBERS = itertools.count(1)
KIM = "kim@example.com"


async def create_inbound(service: InProcess, *agents: str) -> "InboundService":
    """Create a tenant with these agents and a key for its mail server."""
    tenant = f"tenant{next(_NUMBERS)}"
    created = InboundService(service, tenant)
    await created.as_admin("POST", "/v1/tenants", {"tenantId": tenant})
    issued = await created.as_admin("POST", "/v1/keys", {"tenantId": tenant, "role": "tenant"})
    created.key = issued["key"]
    for name in agents:
        body = {"agentName": name, "agentRole": "general"}
        await created.ok("POST", "/v1/agent/register", body)
    created.mail_key = (await created.ok("POST", "/v1/keys", {"role": "mail"}))["key"]
    return created


class InboundService:
    def __init__(self, service: InProcess, tenant: str) -> None:
        self.service = service
        self.tenant = tenant
        self.domain = f"{tenant}.{MAIL_DOMAIN_DEFAULT}"
        self.ann, self.bob = f"ann@{self.domain}", f"bob@{self.domain}"
        self.key = self.mail_key = ""

    async def as_admin(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401
        return await self._call(method, path, body, self.service.credentials["adminKey"])

    async def ok(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        return await self._call(method, path, body, self.key)

    async def _call(self, method: str, path: str, body: object, key: str) -> Any:  # noqa: ANN401
        if method == "GET":
            response = await self.service.get(path, key=key)
        else:
            response = await self.service.ask(json_request(method, path, body, key=key))
        assert response.status < 300, response.body
        return response.json

    async def post(self, raw: bytes, key: str | None = None) -> AsgiResponse:
        headers = [
            ("Authorization", f"Bearer {key or self.mail_key}"),
            ("Content-Type", "message/rfc822"),
            ("Content-Length", str(len(raw))),
        ]
        return await self.service.ask(
            AsgiRequest(method="POST", path="/email/inbound", headers=headers, chunks=[raw])
        )

    async def receive(self, raw: bytes) -> Any:  # noqa: ANN401 - JSON.
        response = await self.post(raw)
        assert response.status == 200, response.body
        return response.json

    async def inbox(self, agent: str) -> Sequence[Mapping[str, Any]]:
        found = await self.ok("GET", f"/email/inbox?agent_name={agent}")
        return list(found["messages"])


def raw_message(
    *to: str,
    subject: str = "Hello",
    text: str = "Hi.\n",
    sender: str = KIM,
    message_id: str | None = "<1@example.com>",
    **headers: str,
) -> bytes:
    """Return a message; the names of ``headers`` have ``_`` for ``-``."""
    lines = [f"From: Kim <{sender}>", f"To: {', '.join(to)}", f"Subject: {subject}"]
    if message_id is not None:
        lines.append(f"Message-ID: {message_id}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", text]).encode()


def dsn(original: str, *failed: str, to: str) -> bytes:
    """Return a report that a message could not be delivered to these recipients."""
    groups = "".join(
        f"\r\nFinal-Recipient: rfc822; {one}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
        for one in failed
    )
    return _report(
        to, "delivery-status", f"Reporting-MTA: dns; mx.example.com\r\n{groups}", original
    )


def complaint(original: str, recipient: str, *, to: str) -> bytes:
    fields = (
        "Feedback-Type: abuse\r\nUser-Agent: Test/1\r\nVersion: 1\r\n"
        f"Original-Rcpt-To: {recipient}\r\n"
    )
    return _report(to, "feedback-report", fields, original)


def _report(to: str, kind: str, fields: str, original: str) -> bytes:
    return (
        f"From: Mail Delivery <mailer-daemon@mx.example.com>\r\nTo: {to}\r\n"
        "Subject: Undelivered\r\nMessage-ID: <report@mx.example.com>\r\n"
        "Auto-Submitted: auto-replied\r\nReturn-Path: <>\r\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        f"--b\r\nContent-Type: message/{kind}\r\n\r\n{fields}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{original}>\r\n\r\n--b--\r\n"
    ).encode()
