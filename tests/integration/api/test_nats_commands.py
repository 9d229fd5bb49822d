"""A command from NATS that meets our own failures, limits and bugs is answered all the same."""

import sys
from typing import Any

import orjson
import pytest

from quorate.api import nats_commands
from quorate.api.nats_commands import NatsCommandHandler
from quorate.application.operations import Call, Endpoint, Reply
from quorate.bus.command_dispatch import CommandResponse, CommandRequest
from quorate.bus.subjects import CommandSubject
from quorate.contracts.requests import HeartbeatBody, PageQuery
from quorate.contracts.roles import CAN_ACT
from quorate.domain.identity.api_keys import Principal
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable

ANN = CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="act")
ANSWER_BYTES_MAX = 100


class Names:
    """Ann is known, nobody else; every look-up is counted."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], str] = {}
        self.look_ups = 0

    def remembered(self, tenant: str, agent_id: str) -> str | None:
        return self.found.get((tenant, agent_id))

    async def look_up(self, tenant: str, agent_id: str) -> str | None:
        self.look_ups += 1
        if (tenant, agent_id) != (ANN.tenant, ANN.agent_id):
            return None
        self.found[tenant, agent_id] = "ann"
        return "ann"


class Desk:
    """One command and one question whose handler does what the test says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.names = Names()
        self.reply: Reply | Exception = Reply(body=b"{}", sequence=7)
        row: dict[str, Any] = {"roles": CAN_ACT, "summary": "", "handler": self._handle}
        self.over_nats = NatsCommandHandler(
            None,  # type: ignore[arg-type]  # The handler needs no service.
            self.names,  # type: ignore[arg-type]
            [
                Endpoint(method="POST", path="/act", name="act", body=HeartbeatBody, **row),
                Endpoint(method="GET", path="/look", name="look", query=PageQuery, **row),
            ],
        )

    async def _handle(self, _service: Any, call: Call) -> Reply:  # noqa: ANN401 - unused.
        self.calls.append(call)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def ask(self, who: CommandSubject = ANN, body: bytes = b"") -> CommandResponse:
        return await self.over_nats.handle(asked(who, body))


def asked(who: CommandSubject = ANN, body: bytes = b"", request_id: str = "mine") -> CommandRequest:
    headers = {"x-request-id": request_id}
    return CommandRequest(sender=who, headers=headers, body=body, response_bytes_max=ANSWER_BYTES_MAX)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_caller_is_the_agent_of_the_subject(desk: Desk) -> None:
    answer = await desk.ask()

    assert (answer.body, answer.headers) == (b"{}", {"Quorate-Sequence": "7"})
    (call,) = desk.calls
    assert call.principal == Principal(
        key_id="", role="agent", tenant="acme", agent_id="agent_of_ann", agent_name="ann"
    )


async def test_a_name_is_looked_up_once(desk: Desk) -> None:
    for _ in range(3):
        await desk.ask()

    assert desk.names.look_ups == 1


async def test_an_agent_that_nobody_knows_is_told_so_and_looked_for_again(desk: Desk) -> None:
    nobody = CommandSubject(tenant="acme", agent_id="agent_of_nobody", operation="act")

    for count in (1, 2):
        answer = await desk.ask(nobody)
        assert answer.headers["Nats-Service-Error"] == "agent_not_found"
        assert answer.headers["Nats-Service-Error-Code"] == "404"
        assert desk.names.look_ups == count
    assert desk.calls == []


async def test_a_log_that_cannot_be_written_is_said_with_when_to_come_again(desk: Desk) -> None:
    desk.reply = Unavailable("the log cannot be written now")

    answer = await desk.ask()

    assert answer.headers == {
        "Nats-Service-Error": "unavailable",
        "Nats-Service-Error-Code": "503",
        "Retry-After": "1",
    }
    assert orjson.loads(answer.body)["detail"] == "the log cannot be written now"


async def test_what_a_database_says_is_not_for_callers(desk: Desk) -> None:
    desk.reply = DatabaseUnavailable("no route to db.internal:5432")

    answer = await desk.ask()

    assert answer.headers["Nats-Service-Error"] == "unavailable"
    assert orjson.loads(answer.body)["detail"] == "The event log is unavailable."


async def test_a_bug_of_ours_is_answered_without_a_word_about_it(desk: Desk) -> None:
    desk.reply = ZeroDivisionError("secret")

    answer = await desk.ask()

    assert answer.headers["Nats-Service-Error"] == "internal_error"
    assert b"secret" not in answer.body


async def test_a_bug_in_reading_is_answered_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_body: bytes) -> dict[str, Any]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(nats_commands, "parse", parse)

    answer = await desk.ask(body=b"{}")

    assert answer.headers["Nats-Service-Error"] == "internal_error"
    assert b"secret" not in answer.body


async def test_an_answer_that_no_message_can_hold_asks_for_a_shorter_page(desk: Desk) -> None:
    desk.reply = Reply(body=b"x" * (ANSWER_BYTES_MAX + 1))

    answer = await desk.ask(CommandSubject(tenant="acme", agent_id="agent_of_ann", operation="look"))

    problem = orjson.loads(answer.body)
    assert (problem["code"], problem["status"]) == ("invalid_request", 422)
    assert problem["detail"].startswith("limit:")


async def test_one_too_many_is_refused_at_once_under_its_own_id(desk: Desk) -> None:
    answer = desk.over_nats.reject(asked(request_id="mine"))

    assert answer.headers["Retry-After"] == "1"
    problem = orjson.loads(answer.body)
    assert (problem["code"], problem["requestId"]) == ("unavailable", "mine")


async def test_nothing_is_kept_of_a_message_that_was_read(desk: Desk) -> None:
    """While a command waits for its turn, its 64 KB need not."""
    body = b'{"agentId": "agent_of_ann"}' + b" " * 60_000
    message = asked(ANN, body)
    before = sys.getrefcount(body)

    waiting = desk.over_nats.handle(message)
    del message

    assert sys.getrefcount(body) < before
    await waiting
