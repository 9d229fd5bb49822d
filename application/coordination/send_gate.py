"""Request permission from the send gate before sending to a contact."""

import orjson

from quorate.application.contact_emails import parse_contact_email
from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.mail.gated_sending import send_payload
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import Json, dump, renderer
from quorate.contracts.coordination.leases import HolderInfo
from quorate.contracts.coordination.send_gate import REQUEST_SEND, SendBody, SendVerdict
from quorate.domain.coordination.send_gate import (
    Authorization,
    RequestSend,
    SendAuthorized,
    SendBlocked,
)

_render_holder = renderer(HolderInfo, SendBlocked, agent_id="holder_id", agent_name="holder_name")


def _holder(event: SendBlocked) -> Json | None:
    """Return the holder if there is one: with a stale fence the contact may be free."""
    return None if event.holder_id is None else _render_holder(event)


_render_blocked = renderer(SendVerdict, SendBlocked, id="send_id", holder=_holder)
_render_authorized = renderer(SendVerdict, SendAuthorized, id="send_id")


def render_verdict(event: SendAuthorized | SendBlocked, tenant: str) -> Json:
    if isinstance(event, SendBlocked):
        return _render_blocked(event, tenant_id=tenant, status="blocked")
    return _render_authorized(event, tenant_id=tenant, status="authorized")


@handles(REQUEST_SEND)
async def request_send(service: Service, call: Call) -> Reply:
    body: SendBody = call.body
    if body.payload is not None:
        return await send_payload(service, call, body)
    tenant = call.principal.tenant
    command = RequestSend(
        caller=call.principal,
        agent=ref(body),
        contact=parse_contact_email(body.contact_email),
        fence=body.fence,
        new_send_id=service.id(),
    )

    def render(event: SendAuthorized | SendBlocked) -> bytes:
        return dump(render_verdict(event, tenant))

    return await service.execute(call, command, render, grant_in=_authorization)


def _authorization(response: bytes) -> Authorization | None:
    """Return what a stored response authorizes; a block grants nothing."""
    verdict = orjson.loads(response)
    if verdict["status"] != "authorized":
        return None
    return Authorization(fence=verdict.get("fence"))
