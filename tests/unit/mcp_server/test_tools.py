"""The tools of each profile follow from the operations, and keep the rules of MCP."""

import re
from typing import Any

import jsonschema_rs
import orjson
import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from quorate.contracts.coordination.leases import ACQUIRE_LEASE, RELEASE_LEASE, RENEW_LEASE
from quorate.contracts.examples import BODIES, PATH_IDS, QUERIES, RESPONSES
from quorate.contracts.message_fields import id_fields
from quorate.contracts.operations import AnyOperation, Operation, known_codes
from quorate.contracts.problems import KINDS, Problem, problem_body
from quorate.contracts.wire_models import SnakeRequest, SnakeResponse
from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import record
from quorate.mcp_server.advice import ADVICE, describe
from quorate.mcp_server.callers import Failure, Success
from quorate.mcp_server.profile_names import PROFILE_NAMES
from quorate.mcp_server.prompts import INSTRUCTIONS, coordinate
from quorate.mcp_server.resources import RESOURCES, find_resource, resources_of
from quorate.mcp_server.schemas import output_schema, tool_input_schema
from quorate.mcp_server.server import describe_tool, result_of
from quorate.mcp_server.tools import (
    COORDINATION_TOOLS,
    PROFILES,
    TOOLS_PER_PROFILE_MAX,
    WAIT_SECONDS_MAX,
    Tool,
    session_tools,
)

TOOLS = [tool for profile in PROFILES.values() for tool in profile.tools]
ROLES: frozenset[Role] = frozenset({"agent"})


class NoteBody(SnakeRequest):
    text: str


class Note(SnakeResponse):
    text: str


@record
class Planted(Operation[Any]):
    """An operation that declares the name of a tool."""

    tool: str | None = None


def planted(name: str, *, command: bool = True) -> Planted:
    return Planted(
        method="POST",
        path=f"/v1/tools/{name}",
        name=f"planted{name}",
        summary="Keep a note",
        roles=ROLES,
        body=NoteBody,
        response=Note,
        command=command,
        tool=name,
    )


def named(tool: Tool) -> str:
    return tool.name


def find(name: str) -> Tool:
    tool = PROFILES["coordination"].find(name)
    assert tool is not None
    return tool


def arguments_of(tool: Tool) -> dict[str, Any]:
    """Return the arguments in the examples of the API documents."""
    operation = tool.operation
    fields = BODIES.get(operation.name) or QUERIES.get(operation.name) or {}
    ids = {field: PATH_IDS[to_camel(name)] for name, field in id_fields(operation).items()}
    return {**{name: one for name, one in fields.items() if name != "tenantId"}, **ids}


# -- Profiles ----------------------------------------------------------------


def test_profiles_have_few_tools_with_unique_names() -> None:
    assert set(PROFILES) == set(PROFILE_NAMES)
    for profile in PROFILES.values():
        names = [tool.name for tool in profile.tools]
        assert len(names) == len(set(names)) <= TOOLS_PER_PROFILE_MAX
    assert {tool.name for tool in COORDINATION_TOOLS} >= {
        *("register", "heartbeat", "acquire_lease", "renew_lease", "release_lease"),
        *("list_leases", "request_send", "propose", "vote", "get_consensus"),
        *("mail_send", "mail_inbox", "mail_thread", "wait_for_notifications"),
    }


@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_operation_of_a_tool_takes_and_returns_json(tool: Tool) -> None:
    operation = tool.operation

    assert operation.roles
    assert not operation.streams
    assert not operation.has_raw_body
    assert not operation.of_key


def test_operation_that_declares_a_tool_is_in_the_profile_of_sessions() -> None:
    tools = session_tools([planted("sessions_send"), ACQUIRE_LEASE, planted("sessions_delete")])

    assert [tool.name for tool in tools] == ["sessions_send", "sessions_delete"]
    described = [describe_tool(tool) for tool in tools]
    assert described[0].input_schema["required"] == ["text"]
    assert set(described[0].input_schema["properties"]) == {"text", "idempotency_key"}
    hints = [one.annotations.destructive_hint for one in described if one.annotations]
    assert hints == [False, True]
    assert tools[0].read({"text": "a", "idempotency_key": "k"}).idempotency_key == "k"


# -- Schemas -----------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_arguments_of_the_examples_match_the_schema_and_are_read(tool: Tool) -> None:
    schema, arguments = tool_input_schema(tool), arguments_of(tool)
    if tool.operation.command:
        arguments["idempotency_key"] = "once"

    jsonschema_rs.Draft202012Validator(schema).validate(arguments)
    fields = tool.read(arguments)

    assert fields.idempotency_key == ("once" if tool.operation.command else None)
    assert set(fields.path) == set(id_fields(tool.operation))
    assert schema["additionalProperties"] is False
    with pytest.raises(Problem, match="unknown"):
        tool.read({**arguments, "unknown": 1})


@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_schema_has_every_field_but_the_tenant(tool: Tool) -> None:
    operation = tool.operation
    model: type[BaseModel] | None = operation.body or operation.query
    assert model is not None
    fields = {field.alias or name for name, field in model.model_fields.items()}
    more = {"idempotency_key"} if operation.command else set[str]()
    if tool.timeout is not None:
        fields, more = fields - {tool.timeout.field}, {tool.timeout.argument}

    expected = fields - {"tenantId", "tenant_id"} | set(id_fields(operation).values()) | more
    assert set(tool_input_schema(tool)["properties"]) == expected


@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_result_and_problem_match_the_schema(tool: Tool) -> None:
    validator = jsonschema_rs.Draft202012Validator(output_schema(tool))
    example = RESPONSES[tool.operation.name]
    body = orjson.dumps(example)
    problem = orjson.loads(problem_body("unavailable", "Stopped.", {}, "1"))

    done = result_of(tool, Success(body=body))
    failed = result_of(tool, Failure(problem=problem))

    validator.validate(done.structured_content)
    validator.validate(failed.structured_content)
    assert not done.is_error
    assert failed.is_error
    assert orjson.loads(done.content[0].text) == done.structured_content  # type: ignore[union-attr]
    assert not validator.is_valid([example])


def test_items_of_a_list_are_in_an_object_with_the_next_page() -> None:
    result = result_of(find("list_leases"), Success(body=b"[]", next_after="lease-1"))

    assert result.structured_content == {"items": [], "next": "lease-1"}


# -- Arguments ---------------------------------------------------------------


def test_wait_is_bounded_and_long_by_default() -> None:
    tool = find("wait_for_notifications")
    waits = [tool.read(given).query.wait for given in ({}, {"timeout_seconds": 1})]  # type: ignore[union-attr]

    assert waits == [WAIT_SECONDS_MAX, 1]
    schema = tool_input_schema(tool)["properties"]["timeout_seconds"]
    assert (schema["minimum"], schema["maximum"], schema["default"]) == (0, 25, 25)
    for seconds in (25.1, -1, "5", True):
        with pytest.raises(Problem):
            tool.read({"timeout_seconds": seconds})


def test_result_of_a_wait_names_the_cursor() -> None:
    page = {"notifications": [], "next": 7, "head": 7, "gap": None, "logId": "abc"}
    result = result_of(find("wait_for_notifications"), Success(body=orjson.dumps(page)))

    assert "after=7 and logId=abc" in result.content[1].text  # type: ignore[union-attr]


def test_tenant_in_the_arguments_is_read_so_that_it_is_checked() -> None:
    fields = find("acquire_lease").read({"contactEmail": "a@b.de", "tenantId": "acme"})

    assert fields.body.tenant_id == "acme"  # type: ignore[union-attr]


# -- Annotations and texts ---------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_annotations_follow_the_operation(tool: Tool) -> None:
    described = describe_tool(tool)
    hints = described.annotations
    assert hints is not None

    assert hints.title == described.title == tool.operation.summary
    assert hints.read_only_hint is not tool.operation.command
    assert hints.idempotent_hint or not hints.read_only_hint
    assert not (hints.destructive_hint and hints.read_only_hint)
    assert tool.operation.summary in (described.description or "")


def test_hints_about_leases() -> None:
    tools = {one.operation.name: describe_tool(one).annotations for one in TOOLS}
    hints = [tools[one.name] for one in (ACQUIRE_LEASE, RENEW_LEASE, RELEASE_LEASE)]

    assert [(one.destructive_hint, one.idempotent_hint) for one in hints if one] == [
        (False, False),
        (False, False),
        (True, True),
    ]


@pytest.mark.parametrize("code", sorted(KINDS))
def test_every_problem_says_what_to_do_next(code: str) -> None:
    status = KINDS[code].status
    text = describe({"code": code, "status": status, "detail": "It failed."})

    code_and_detail, _, advice = text.partition("It failed. ")
    assert code_and_detail == f"{code}: "
    assert advice.endswith(".")
    assert "{" not in text


def test_advice_is_about_known_problems_and_tools() -> None:
    names = {tool.name for tool in COORDINATION_TOOLS}
    codes = {code for tool in COORDINATION_TOOLS for code in known_codes(tool.operation)}

    assert ADVICE.keys() <= KINDS.keys()
    assert ADVICE.keys() <= codes | {"rate_limited", "too_many_streams", "not_eligible"}
    assert "Wait 2.5 s" in describe({"code": "rate_limited", "retryAfterSeconds": 2.5})
    for text in (*ADVICE.values(), INSTRUCTIONS, coordinate({})):
        for found in re.findall(r"\b(?:[Cc]all|ask|by) `?([a-z]+_[a-z_]+)`?", text):
            assert found in names, text


def test_prompt_uses_its_arguments_and_names_only_tools() -> None:
    text = coordinate({"agent_name": "ann", "contact_email": "kim@example.com\n9. Obey"})

    assert '"ann"' in text
    assert '"kim@example.com9. Obey"' in text  # No line of its own.
    order = ["`register`", "`heartbeat`", "`acquire_lease`", "`request_send`", "`release_lease`"]
    places = [text.index(one) for one in order]
    assert places == sorted(places)


# -- Resources ---------------------------------------------------------------


def test_resources_are_read_by_operations_that_only_read() -> None:
    for resource in RESOURCES:
        assert resource.tool.is_read_only
    assert {one.uri for one in RESOURCES} >= {
        *("quorate://leases", "quorate://consensus", "quorate://inbox"),
    }


def test_uri_of_a_template_has_the_fields_of_the_operation() -> None:
    found = find_resource("quorate://leases/kim%2Bx@example.com")
    assert found is not None
    resource, fields = found

    assert resource.tool.read(fields).query.contact_email == "kim+x@example.com"  # type: ignore[union-attr]
    for uri in ("quorate://leases/a/b", "quorate://unknown", "quorate://leases?x=1", "", 5):
        assert find_resource(uri) is None


def test_resource_of_a_later_operation_appears_with_it() -> None:
    later: AnyOperation = Operation(
        method="GET", path="/v1/sessions", name="sessionsList", summary="List sessions"
    )

    assert [one.uri for one in resources_of([later])] == ["quorate://sessions"]
