"""Request permission from the send gate before sending to a contact."""

from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.requests import Query, SendBody, parse_contact_email
from quorate.contracts.responses import SendResponse, dump, send_response
from quorate.contracts.roles import CAN_ACT
from quorate.domain.coordination.send_gate import RequestSend, SendAuthorized, SendBlocked


async def request_send(service: Service, call: Call) -> Reply:
    body: SendBody = call.body
    tenant = call.principal.tenant
    command = RequestSend(
        caller=call.principal,
        agent=ref(body),
        contact=parse_contact_email(body.contact_email),
        fence=body.fence,
        new_send_id=service.id(),
    )

    def render(event: SendAuthorized | SendBlocked) -> bytes:
        return dump(send_response(tenant, event))

    return await service.execute(call, command, render)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/agent/request-send",
        name="requestSend",
        summary="Request permission to send to a contact",
        description="The send gate authorizes the request, or blocks it and gives the reason.",
        roles=CAN_ACT,
        body=SendBody,
        query=Query,
        response=SendResponse,
        problems=("agent_not_found", "acting_as_another", "contact_email_invalid"),
        command=True,
        handler=request_send,
    ),
)
