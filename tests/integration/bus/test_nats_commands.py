"""Commands over NATS get a response despite failures, limits and bugs in the service."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import pytest

from quorate.application.operations import Call, Reply
from quorate.bus import nats_commands
from quorate.bus.command_parser import THROTTLED, TOO_LARGE
from quorate.bus.command_tasks import CommandRequest, CommandResponse
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.subjects import CommandSubject
from quorate.contracts.identity.agents import HeartbeatBody
from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT
from quorate.contracts.wire_models import PageQuery, SnakeQuery
from quorate.domain.identity.principals import Principal
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from tests.integration.bus.stage import ANN as ANN_ID
from tests.integration.bus.stage import TENANT, Stage

ANN = CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="act")
RESPONSE_BYTES_MAX = 100


class FakeAgentNames:
    """Knows only the agent ann, and counts lookups."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], str] = {}
        self.lookup_count = 0

    def cached(self, tenant: str, agent_id: str) -> str | None:
        return self.found.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        self.lookup_count += 1
        if (tenant, agent_id) != (ANN.tenant, ANN.agent_id):
            return None
        self.found[tenant, agent_id] = "ann"
        return "ann"


class Scenario:
    """One command and one query with a handler that the test controls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.names = FakeAgentNames()
        self.reply: Reply | Exception = Reply(body=b"{}", sequence=7)
        row: dict[str, Any] = {"roles": CAN_ACT, "summary": ""}
        self.commands = NatsCommandHandler(
            None,  # type: ignore[arg-type]  # The handler needs no service.
            self.names,  # type: ignore[arg-type]
            [
                Operation(method="POST", path="/act", name="act", body=HeartbeatBody, **row),
                Operation(method="GET", path="/list", name="list", query=PageQuery, **row),
                Operation(
                    method="GET",
                    path="/mail/{id}",
                    name="mail",
                    query=SnakeQuery,
                    error_object=True,
                    **row,
                ),
            ],
            handlers=dict.fromkeys(("act", "list", "mail"), self._handle),
        )

    async def _handle(self, _service: Any, call: Call) -> Reply:  # noqa: ANN401 - unused.
        self.calls.append(call)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def send(self, subject: CommandSubject = ANN, body: bytes = b"") -> CommandResponse:
        return await self.commands.handle(make_request(subject, body))


def make_request(
    subject: CommandSubject = ANN, body: bytes = b"", request_id: str = "mine"
) -> CommandRequest:
    headers = {"x-request-id": request_id}
    return CommandRequest(
        sender=subject, headers=headers, body=body, response_bytes_max=RESPONSE_BYTES_MAX
    )


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


LARGEST = b'{"agentName": "' + b"x" * 60_000 + b'"}'


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("act", TOO_LARGE),
        ("act", THROTTLED),
        ("act", b"x" * 70_000),
        ("act", b"{" * 60_000),
        ("act", b"\xff" * 60_000),
        ("act", LARGEST),
        ("unknown", LARGEST),
        ("list", b'{"limit": "many"}'),
    ],
)
async def test_rejected_command_leaves_nothing_for_the_garbage_collector(
    operation: str, body: bytes, scenario: Scenario
) -> None:
    subject = CommandSubject(tenant="acme", agent_id="agent_of_ann", operation=operation)
    await scenario.send(subject, body)

    with uncollected() as left:
        response = await scenario.send(subject, body)
        assert "Nats-Service-Error" in response.headers

    assert left == []


async def test_problem_has_the_error_object_that_its_operation_declares(
    scenario: Scenario,
) -> None:
    mail, listed = (
        CommandSubject(tenant="acme", agent_id="agent_of_ann", operation=name)
        for name in ("mail", "list")
    )
    for body in (b"{", b"{}", THROTTLED):
        response = await scenario.send(mail, body)
        problem = orjson.loads(response.body)
        assert problem["error"]["code"] == response.headers["Nats-Service-Error"]
        assert problem["error"]["message"] == problem["detail"]
    failed = scenario.commands.fail(make_request(mail), ValueError())
    rejected = scenario.commands.reject(make_request(mail))
    assert orjson.loads(failed.body)["error"]["code"] == "internal_error"
    assert orjson.loads(rejected.body)["error"]["retry_after"] == 1
    assert b'"error"' not in (await scenario.send(listed, b"{")).body
    assert b'"error"' not in scenario.commands.reject(make_request(listed)).body


async def test_failed_command_leaves_nothing_for_the_garbage_collector(scenario: Scenario) -> None:
    scenario.reply = Unavailable("too many commands")

    with uncollected() as left:
        assert b"unavailable" in (await scenario.send()).body
        scenario.calls.clear()
        scenario.reply.__traceback__ = None

    assert left == []


async def test_reference_cycle_is_found() -> None:
    with uncollected() as left:
        cycle = ValueError("refers to itself")
        cycle.__cause__ = cycle
        del cycle

    assert [type(one) for one in left] == [ValueError]


@contextmanager
def uncollected() -> Iterator[list[object]]:
    """Yield a list that gets what the block has left for the garbage collector."""
    kinds = BaseException, CommandRequest, Call, TracebackType
    left: list[object] = []
    gc.collect()
    gc.disable()
    try:
        before = {id(each) for each in gc.get_objects()}
        yield left
        after = [each for each in gc.get_objects() if isinstance(each, kinds)]
        left += [each for each in after if id(each) not in before]
    finally:
        gc.enable()


async def test_omitted_payloads_are_rejected_with_their_reason(scenario: Scenario) -> None:
    too_large = await scenario.send(body=TOO_LARGE)
    throttled = await scenario.send(body=THROTTLED)

    assert too_large.headers["Nats-Service-Error"] == "body_too_large"
    assert throttled.headers["Nats-Service-Error"] == "rate_limited"
    assert (too_large.is_throttled, throttled.is_throttled) == (False, True)


async def test_subject_determines_the_caller(scenario: Scenario) -> None:
    response = await scenario.send()

    assert (response.body, response.headers) == (b"{}", {"Quorate-Sequence": "7"})
    (call,) = scenario.calls
    assert call.principal == Principal(
        key_id="", role="agent", tenant="acme", agent_id="agent_of_ann", agent_name="ann"
    )


async def test_agent_name_is_looked_up_once(scenario: Scenario) -> None:
    for _ in range(3):
        await scenario.send()

    assert scenario.names.lookup_count == 1


async def test_unknown_agent_is_rejected_and_looked_up_again(scenario: Scenario) -> None:
    unknown = CommandSubject(tenant="acme", agent_id="agent_unknown", operation="act")

    for count in (1, 2):
        response = await scenario.send(unknown)
        assert response.headers["Nats-Service-Error"] == "agent_not_found"
        assert response.headers["Nats-Service-Error-Code"] == "404"
        assert scenario.names.lookup_count == count
    assert scenario.calls == []


async def test_unwritable_log_returns_unavailable_with_retry_after(scenario: Scenario) -> None:
    scenario.reply = Unavailable("the log cannot be written now")

    response = await scenario.send()

    assert response.headers == {
        "Nats-Service-Error": "unavailable",
        "Nats-Service-Error-Code": "503",
        "Retry-After": "1",
    }
    assert orjson.loads(response.body)["detail"] == "the log cannot be written now"


async def test_database_error_is_not_revealed(scenario: Scenario) -> None:
    scenario.reply = DatabaseUnavailable("no route to db.internal:5432")

    response = await scenario.send()

    assert response.headers["Nats-Service-Error"] == "unavailable"
    assert orjson.loads(response.body)["detail"] == "The event log is unavailable."


async def test_handler_failure_returns_internal_error_without_details(scenario: Scenario) -> None:
    scenario.reply = ZeroDivisionError("secret")

    response = await scenario.send()

    assert response.headers["Nats-Service-Error"] == "internal_error"
    assert b"secret" not in response.body


async def test_parser_failure_returns_internal_error(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_body: bytes) -> dict[str, Any]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(nats_commands, "parse", parse)

    response = await scenario.send(body=b"{}")

    assert response.headers["Nats-Service-Error"] == "internal_error"
    assert b"secret" not in response.body


async def test_oversized_response_names_the_limit_parameter(scenario: Scenario) -> None:
    scenario.reply = Reply(body=b"x" * (RESPONSE_BYTES_MAX + 1))

    response = await scenario.send(
        CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="list")
    )

    problem = orjson.loads(response.body)
    assert (problem["code"], problem["status"]) == ("invalid_request", 422)
    assert problem["detail"].startswith("limit:")


async def test_oversized_response_without_a_limit_names_the_path_of_http(
    scenario: Scenario,
) -> None:
    scenario.reply = Reply(body=b"x" * (RESPONSE_BYTES_MAX + 1), media=b"application/pdf")
    subject = CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="mail")

    response = await scenario.send(subject, body=b'{"id": "1"}')

    problem = orjson.loads(response.body)
    assert (problem["code"], problem["status"]) == ("invalid_request", 422)
    assert "use HTTP, GET /mail/{id}" in problem["detail"]
    assert scenario.calls[-1].response_bytes_max == RESPONSE_BYTES_MAX


async def test_file_is_the_payload_of_its_response(scenario: Scenario) -> None:
    scenario.reply = Reply(
        body=b"%PDF", media=b"application/pdf", headers=((b"content-disposition", b"attachment"),)
    )
    subject = CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="mail")

    response = await scenario.send(subject, body=b'{"id": "1"}')

    assert response.body == b"%PDF"
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == "attachment"


async def test_excess_command_is_rejected_with_its_request_id(scenario: Scenario) -> None:
    response = scenario.commands.reject(make_request(request_id="mine"))

    assert response.headers["Retry-After"] == "1"
    problem = orjson.loads(response.body)
    assert (problem["code"], problem["requestId"]) == ("unavailable", "mine")


async def test_message_is_released_after_parsing(scenario: Scenario) -> None:
    """A waiting command must not keep the 64 KB of its message in memory."""
    body = b'{"agentId": "agent_of_ann"}' + b" " * 60_000
    message = make_request(ANN, body)
    before = sys.getrefcount(body)

    waiting = scenario.commands.handle(message)
    del message

    assert sys.getrefcount(body) < before
    await waiting


# -- FastStream and the fast lane --------------------------------------------

SENT = [
    ("act", b"{}", {}),
    ("act", b"", {"X-Request-Id": "mine", "Idempotency-Key": "once"}),
    ("act", b'{"agentId": 1}', {}),
    ("act", b'{"a": 1, "a": 2}', {}),
    ("act", b"no json", {}),
    ("act", b"[]", {}),
    ("act", b'{"tenantId": "globex"}', {}),
    ("act", b'{"unknown": 1}', {}),
    ("list", b'{"limit": 1}', {}),
    ("list", b'{"limit": "1"}', {}),
    ("unknown", b"{}", {}),
    ("act.more", b"{}", {}),
]


async def responses(folder: Path, fast_lane: tuple[str, ...]) -> list[Any]:
    """Return the responses to SENT, without the request ids that the service generates."""
    scenario = Scenario()
    scenario.names.found[TENANT, ANN_ID] = "ann"
    stage = Stage(folder)
    stage.nats_service.serve_commands(scenario.commands, fast_lane=fast_lane)
    await stage.nats_service.start()
    try:
        asker = stage.new_listener()
        key = stage.keys.issue("agent", TENANT, ANN_ID)
        await asker.connect(
            stage.nats_service.url, key.key_id, inbox_prefix=f"_INBOX_{TENANT}_{ANN_ID}"
        )
        received = []
        for operation, body, headers in SENT:
            reply = await asker.client.request(
                f"quorate.{TENANT}.cmd.{ANN_ID}.{operation}", body, timeout=20, headers=headers
            )
            fields = orjson.loads(reply.data)
            fields.pop("requestId", None)
            received.append((fields, reply.headers))
        return received
    finally:
        await stage.close()


async def test_both_ways_give_the_same_responses(tmp_path: Path) -> None:
    by_faststream = await responses(tmp_path / "faststream", ())
    by_fast_lane = await responses(tmp_path / "fast_lane", ("act", "list"))

    assert by_faststream == by_fast_lane
    codes = [fields.get("code") for fields, _ in by_faststream]
    assert codes[:2] == [None, None]
    assert set(codes[2:]) == {
        *(None, "invalid_request", "malformed_request", "tenant_forbidden", "not_found"),
    }
    assert all("correlation_id" not in headers for _, headers in by_faststream)
