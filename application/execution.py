"""Dependencies of every handler, and the way from a call to a command envelope and a reply."""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from pydantic import BaseModel

from quorate.application.failed_login_limiter import FailedLoginLimiter
from quorate.application.key_cache import KeyCache
from quorate.application.mail.mail_service import MailService
from quorate.application.mail.tenant_domains import TenantDomains
from quorate.application.new_contents import prefixed_id
from quorate.application.operations import Call, Reply
from quorate.application.read_budget import ReadBudget
from quorate.application.readiness_state import ReadinessProbe
from quorate.application.request_metrics import RequestMetrics
from quorate.application.sessions.sessions_service import SessionsService
from quorate.application.subscriptions import Subscriptions
from quorate.application.tenant_access import TenantAccess
from quorate.application.tracing import Tracing
from quorate.contracts.descriptions import IDEMPOTENCY_KEY_LENGTH_MAX
from quorate.contracts.problems import Problem, detail_of
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import TenantIsPaused
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.commands import Commands
from quorate.eventlog.envelopes import Accepted, CommandEnvelope, Idempotency, Rejected
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.moments import current_moment
from quorate.eventlog.serialization import public
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.history.moments import Moments
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from quorate.projections.tenant_queries import TenantQueries

FINGERPRINT_VERSION = 1
_REPLAYED = ((b"idempotent-replayed", b"true"),)


class Connections(Protocol):
    """The open HTTP connections of this process, and the bytes that their clients have not read."""

    @property
    def open_count(self) -> int: ...

    @property
    def unread_bytes(self) -> int: ...


class MetricsPage(Protocol):
    def page(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""

    def watch_connections(self, connections: Connections) -> None:
        """Report these connections from now on."""


@record
class Service:
    log: EventStore
    command_bus: Commands
    reader: Reader
    notifications: NotificationQueries
    mail: MailService
    sessions: SessionsService
    key_cache: KeyCache
    failed_login_limiter: FailedLoginLimiter
    tenant_access: TenantAccess
    tenant_domains: TenantDomains
    read_budget: ReadBudget
    tenants: TenantQueries
    quotas: Quotas
    subscriptions: Subscriptions
    clock: Callable[[], Timestamp]
    moments: Moments
    new_id: NewId
    readiness: ReadinessProbe
    metrics: MetricsPage
    request_metrics: RequestMetrics
    tracing: Tracing | None

    def id(self) -> str:
        return self.new_id(self.clock())

    def prefixed_id(self, prefix: str) -> str:
        return prefixed_id(prefix, self.id())

    async def execute(
        self,
        call: Call,
        command: Command,
        render: Callable[[Any], bytes],
        tenant: str | None = None,
        grant_in: Callable[[bytes], Any] | None = None,
    ) -> Reply:
        """Submit a command and wait for its reply; raise Problem if the command is rejected.

        ``grant_in`` is for commands that grant a right in time (``RepeatableCommand``).
        """
        result = await self.submit(call, command, render, tenant, grant_in)
        return Reply(body=result.body, sequence=result.sequence, headers=replay_headers(result))

    async def submit(
        self,
        call: Call,
        command: Command,
        render: Callable[[Any], bytes],
        tenant: str | None = None,
        grant_in: Callable[[bytes], Any] | None = None,
    ) -> Accepted:
        assert current_moment() is None, "a request of the past changes nothing"
        principal: Principal = call.principal
        envelope = CommandEnvelope(
            tenant=tenant or principal.tenant,
            actor=principal.actor,
            command_id=self.id(),
            command=command,
            render=render,
            grant_in=grant_in,
            idempotency=_idempotency(call, command, principal),
            urgent=call.urgent,
            in_order=principal.role == "agent",
            metered=principal.role != "admin" and not call.unmetered,
            pausable=principal.role != "admin" and call.pausable,
            trace=call.span,
        )
        result = await self.command_bus.submit(envelope)
        if isinstance(result, Rejected):
            raise _rejection(result)
        return result

    async def submit_mark(
        self, call: Call, command: Command, render: Callable[[Any], bytes]
    ) -> Accepted | None:
        """Submit what a read changes besides; return None if the tenant is paused."""
        try:
            return await self.submit(call, command, render)
        except Problem as problem:
            if problem.code != TenantIsPaused.code:
                raise
            return None


def replay_headers(result: Accepted) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that marks a response replayed for the same idempotency key."""
    return _REPLAYED if result.replayed else ()


def problem_of(error: DomainError) -> Problem:
    """Return the problem of an error that was raised outside a command."""
    facts = public(error.details)
    return Problem(error.code, detail_of(error.code, facts), **facts)


def _rejection(result: Rejected) -> Problem:
    headers = {"Quorate-Sequence": str(result.sequence)}
    if result.replayed:
        headers["Idempotent-Replayed"] = "true"
    if (wait := result.facts.get("retryAfterSeconds")) is not None:
        headers["Retry-After"] = str(wait)
    detail = detail_of(result.code, result.facts)
    return Problem(result.code, detail, headers=headers, **result.facts)


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
    """Hash the request by value.

    White space, the order of keys and explicit default values do not change the fingerprint.
    An option that a newer version adds does not change it either. Whatever else changes it for a
    request needs another FINGERPRINT_VERSION: a test pins fingerprints of this one.
    Fields of the query count as those of the body: over NATS they arrive together.
    """
    body = call.body
    fields: Any = None
    if isinstance(body, BaseModel):
        fields = body.model_dump(mode="json", exclude_defaults=True)
    elif isinstance(body, bytes):
        fields = hashlib.sha256(body).hexdigest()
    if isinstance(call.query, BaseModel) and not isinstance(body, bytes):
        query = call.query.model_dump(mode="json", exclude_defaults=True, exclude={"tenant_id"})
        fields = {**query, **(fields or {})} if query else fields
    request = {"path": dict(call.path), "body": fields}
    digest = hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).digest()
    return bytes([FINGERPRINT_VERSION]) + digest
