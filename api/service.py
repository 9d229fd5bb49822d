"""What every handler works with, and how a call becomes an order and an answer a reply."""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from pydantic import BaseModel

from quorate.api.endpoint import Call, Reply
from quorate.api.keyring import KeyRing
from quorate.api.limits import Limits
from quorate.api.problems import KINDS, Problem
from quorate.api.readiness import Readiness
from quorate.api.strangers import Strangers
from quorate.api.tails import Tails
from quorate.api.tallies import Tallies
from quorate.api.tracing import Tracing
from quorate.domain.commands import Command
from quorate.domain.instants import Instant
from quorate.domain.keys import Principal
from quorate.domain.record import record
from quorate.eventlog.batch import NewId
from quorate.eventlog.door import Door
from quorate.eventlog.log import EventLog
from quorate.eventlog.order import Declined, Done, Idempotency, Order
from quorate.projections.noticed import NoticesReader
from quorate.projections.reader import Reader

IDEMPOTENCY_KEY_LENGTH_MAX = 255
_REPLAYED = ((b"idempotent-replayed", b"true"),)


class Pages(Protocol):
    def page(self) -> bytes:
        """Numbers for Prometheus."""


@record
class Service:
    log: EventLog
    door: Door
    reader: Reader
    notices: NoticesReader
    keyring: KeyRing
    strangers: Strangers
    limits: Limits
    tails: Tails
    clock: Callable[[], Instant]
    new_id: NewId
    readiness: Readiness
    metrics: Pages
    tallies: Tallies
    tracing: Tracing | None

    def id(self) -> str:
        return self.new_id(self.clock())

    async def carry_out(
        self,
        call: Call,
        command: Command,
        render: Callable[[Any], bytes],
        tenant: str | None = None,
    ) -> Reply:
        """Hand a command in and wait for its reply; a refusal is raised as a Problem."""
        answer = await self.submit(call, command, render, tenant)
        return Reply(body=answer.body, sequence=answer.sequence, headers=replay_headers(answer))

    async def submit(
        self,
        call: Call,
        command: Command,
        render: Callable[[Any], bytes],
        tenant: str | None = None,
    ) -> Done:
        principal: Principal = call.principal
        order = Order(
            tenant=tenant or principal.tenant,
            actor=principal.actor,
            command_id=self.id(),
            command=command,
            render=render,
            idempotency=_idempotency(call, command, principal),
            urgent=call.urgent,
            in_turn=principal.role == "agent",
            trace=call.span,
        )
        answer = await self.door.submit(order)
        if isinstance(answer, Declined):
            raise _refusal(answer)
        return answer


def replay_headers(answer: Done) -> tuple[tuple[bytes, bytes], ...]:
    """Says that this answer was given before, under the same idempotency key."""
    return _REPLAYED if answer.replayed else ()


def _refusal(answer: Declined) -> Problem:
    headers = {"Quorate-Sequence": str(answer.sequence)}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    title = KINDS[answer.code].title
    return Problem(answer.code, f"{title}.", headers=headers, **answer.facts)


def _idempotency(call: Call, command: Command, principal: Principal) -> Idempotency | None:
    key = call.headers.get(b"idempotency-key")
    if key is None:
        return None
    if not key or len(key) > IDEMPOTENCY_KEY_LENGTH_MAX or not _printable(key):
        raise Problem(
            "idempotency_key_invalid",
            f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters.",
        )
    return Idempotency(
        caller=principal.actor,
        command=type(command).__name__,
        key=key.decode("ascii"),
        fingerprint=_fingerprint(call),
    )


def _printable(key: bytes) -> bool:
    return key.isascii() and key.decode("ascii").isprintable()


def _fingerprint(call: Call) -> bytes:
    """What was asked, by value: white space, the order of keys and a default that is spelled out
    don't make another request. Nor does an option that a newer version of this service has.
    """
    body = call.body
    said = (
        body.model_dump(mode="json", exclude_defaults=True) if isinstance(body, BaseModel) else None
    )
    asked = {"path": dict(call.path), "body": said}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()
