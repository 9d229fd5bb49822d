"""Models whose fields have their names of Python in JSON."""

from dataclasses import dataclass

import pytest
from pydantic import AwareDatetime
from pydantic.alias_generators import to_snake

from quorate.application.admission import check_tenant
from quorate.application.identity.agents import ref
from quorate.application.rendering import renderer
from quorate.cli.operations.fields import fields_of
from quorate.client.request_builder import request_for
from quorate.contracts.message_fields import id_fields, request_model
from quorate.contracts.operations import AnyOperation, Operation
from quorate.contracts.problems import Problem, body_of
from quorate.contracts.validation import validate
from quorate.contracts.wire_models import (
    SnakeAgentQuery,
    SnakeAgentRequest,
    SnakeQuery,
    SnakeRequest,
    SnakeResponse,
    TenantRequest,
    optional,
)
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.timestamps import Timestamp

REQUESTS = (SnakeRequest, SnakeAgentRequest, SnakeQuery, SnakeAgentQuery)


class SendBody(SnakeAgentRequest):
    body_text: str
    ack_required: bool = False


class PageQuery(SnakeAgentQuery):
    unread_only: bool = False
    page_limit: int = 20


class MessageInfo(SnakeResponse):
    message_id: str
    created_at: AwareDatetime
    thread_id: str | None = optional()


@dataclass
class Message:
    id: str
    created_at: Timestamp
    thread_id: str | None = None


SEND: AnyOperation = Operation(
    method="POST",
    path="/email/message/{message_id}/send",
    name="send",
    summary="Send",
    roles=frozenset({"agent"}),
    body=SendBody,
    response=MessageInfo,
    command=True,
)
LIST: AnyOperation = Operation(
    method="GET", path="/email/inbox", name="list", summary="List", query=PageQuery
)


@pytest.mark.parametrize("model", REQUESTS)
def test_request_has_the_names_of_python(model: type[TenantRequest]) -> None:
    assert validate(model, {"tenant_id": "acme"}).tenant_id == "acme"
    with pytest.raises(Problem, match="tenantId"):
        validate(model, {"tenantId": "acme"})
    with pytest.raises(Problem, match="tenant_id"):
        validate(model, {"tenant_id": "!"})


def test_requests_are_strict_and_queries_read_text() -> None:
    fields = {"body_text": "hello", "agent_name": "ann"}
    assert ref(validate(SendBody, fields)) == AgentRef(name="ann")
    for wrong in ({"ack_required": "true"}, {"other": 1}, {"bodyText": "hello"}):
        with pytest.raises(Problem, match="invalid_request"):
            validate(SendBody, fields | wrong)
    query = validate(PageQuery, {"page_limit": "3", "unread_only": "true", "agent_id": "agent_1"})
    assert (query.page_limit, query.unread_only) == (3, True)
    assert ref(query) == AgentRef(id="agent_1")


def test_tenant_of_the_request_is_checked() -> None:
    body = validate(SendBody, {"body_text": "a", "tenant_id": "acme"})
    check_tenant(Principal(key_id="k", role="tenant", tenant="acme"), body, None)
    with pytest.raises(Problem, match="tenant_forbidden"):
        check_tenant(Principal(key_id="k", role="tenant", tenant="other"), body, None)


def test_response_is_rendered_and_parsed_with_the_same_names() -> None:
    render = renderer(MessageInfo, Message, message_id="id")
    found = render(Message(id="msg_1", created_at=Timestamp(0)))
    assert found == {"message_id": "msg_1", "created_at": "1970-01-01T00:00:00.000Z"}
    assert MessageInfo.from_json(found).raw == found
    assert MessageInfo.from_json(found).message_id == "msg_1"


def test_request_of_the_sdk_has_these_names() -> None:
    body = SendBody(body_text="a", agent_name="ann")
    request = request_for(SEND, body, message_id="msg_1")
    assert request.path == "/email/message/msg_1/send"
    assert request.body == {"body_text": "a", "agent_name": "ann", "ack_required": False}
    assert request.message == {**request.body, "message_id": "msg_1"}
    query = PageQuery(unread_only=True)
    assert request_for(LIST, query=query).parameters == {"unread_only": True}


def test_message_over_nats_has_these_names() -> None:
    assert id_fields(SEND) == {"message_id": "message_id"}
    fields = request_model(SEND).model_json_schema(by_alias=True)["properties"]
    assert {"message_id", "idempotency_key", "tenant_id", "body_text"} <= fields.keys()
    assert fields.keys() == set(map(to_snake, fields))


def test_option_of_the_command_line_is_the_name_in_kebab_case() -> None:
    options = {field.name: field.option for field in fields_of(SEND)}
    assert options["message_id"] == "--message-id"
    assert options["body_text"] == "--body-text"
    assert list(options)[-1] == "tenant_id"


# -- The error object --------------------------------------------------------


def test_error_object_repeats_the_problem_in_snake_case() -> None:
    problem = Problem(
        "rate_limited",
        "Too many.",
        headers={"Retry-After": "3"},
        limitedBy="key",
        holders=[{"agentId": "a"}],
    )
    plain = body_of(problem, "r1")
    assert b'"error"' not in plain
    whole = body_of(problem, "r1", error_object=True)
    assert whole.startswith(plain[:-1])
    assert whole[len(plain) - 1 :] == (
        b',"error":{"code":"rate_limited","message":"Too many.","retry_after":3,'
        b'"details":{"limited_by":"key","holders":[{"agent_id":"a"}]}}}'
    )
    assert b'"retry_after":null' in body_of(Problem("not_found", "a"), "r1", error_object=True)
