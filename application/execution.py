"""What every handler works with, and how a call becomes an order and an answer a reply."""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from pydantic import BaseModel

from quorate.application.failed_login_limiter import FailedLoginLimiter
from quorate.application.key_cache import KeyCache
from quorate.application.operations import Call, Reply
from quorate.application.rate_limiter import Limits
from quorate.application.readiness_state import ReadinessProbe
from quorate.application.request_metrics import Tallies
from quorate.application.subscriptions import Subscriptions
from quorate.application.tracing import Tracing
from quorate.contracts.problems import KINDS, Problem
from quorate.domain.commands import Command
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, Idempotency, Rejected
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader

IDEMPOTENCY_KEY_LENGTH_MAX = 255
_REPLAYED = ((b"idempotent-replayed", b"true"),)


class Pages(Protocol):
    def page(self) -> bytes:
        """Numbers for Prometheus."""


@record
class Service:
    log: EventStore
    door: CommandBus
    reader: Reader
    notifications: NotificationQueries
    keyring: KeyCache
    strangers: FailedLoginLimiter
    limits: Limits
    tails: Subscriptions
    clock: Callable[[], Timestamp]
    new_id: NewId
    readiness: ReadinessProbe
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
    ) -> Accepted:
        principal: Principal = call.principal
        order = CommandEnvelope(
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
        if isinstance(answer, Rejected):
            raise _refusal(answer)
        return answer


def replay_headers(answer: Accepted) -> tuple[tuple[bytes, bytes], ...]:
    """Says that this answer was given before, under the same idempotency key."""
    return _REPLAYED if answer.replayed else ()


def _refusal(answer: Rejected) -> Problem:
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
