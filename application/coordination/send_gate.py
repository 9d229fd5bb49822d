"""The send gate."""

from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.requests import Query, SendBody, read_contact_or_refuse
from quorate.contracts.responses import SendAnswer, dump, send_answer
from quorate.contracts.roles import ACTING
from quorate.domain.coordination.send_gate import RequestSend, SendAuthorized, SendBlocked


async def request_send(service: Service, call: Call) -> Reply:
    body: SendBody = call.body
    tenant = call.principal.tenant
    command = RequestSend(
        caller=call.principal,
        agent=ref(body),
        contact=read_contact_or_refuse(body.contact_email),
        fence=body.fence,
        new_send_id=service.id(),
    )

    def render(event: SendAuthorized | SendBlocked) -> bytes:
        return dump(send_answer(tenant, event))

    return await service.carry_out(call, command, render)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/agent/request-send",
        name="requestSend",
        summary="Ask before acting on a contact: authorized, or blocked and why",
        roles=ACTING,
        body=SendBody,
        query=Query,
        answer=SendAnswer,
        problems=("agent_not_found", "acting_as_another", "contact_email_invalid"),
        command=True,
        handler=request_send,
    ),
)
