"""Call operations in this process for one logged-in browser, as the API would serve its key.

* Each call checks the role of the key, its rate limit, and the fields, then the tenant.
* Each call is logged, counted and traced once, as transport ``console``.
* An admin key that picked a tenant reads as an auditor of it, and acts as itself.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from quorate.api.http_admission import require_role
from quorate.api.registry import handler_for
from quorate.application.admission import RequestLogEntry, attempt, check_tenant
from quorate.application.console_sessions import Session
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rate_limiter import caller_of, reserve_for
from quorate.contracts.operations import AnyOperation, is_id, json_name
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS
from quorate.contracts.validation import validate
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.runtime.asgi import Receive

BY_NAME: Mapping[str, AnyOperation] = {one.name: one for one in OPERATIONS}
TENANT = "tenant_id"


@record
class Answer:
    """What an operation answered. ``next_after`` is the cursor of the next page of a list."""

    body: Any
    next_after: str | None = None
    sequence: int | None = None


class Caller:
    """Calls operations as the key of a session."""

    def __init__(
        self, service: Service, session: Session, *, request_id: str, receive: Receive
    ) -> None:
        self.session = session
        self._service = service
        self._request_id = request_id
        self._receive = receive

    @property
    def now(self) -> Timestamp:
        return self._service.clock()

    def may_call(self, name: str) -> bool:
        """Return whether an operation exists that keys of this role may call."""
        operation = BY_NAME.get(name)
        return operation is not None and self._principal_for(operation) is not None

    async def read(
        self, name: str, path: Mapping[str, str] | None = None, **query: object
    ) -> Answer:
        """Call an operation that has a query. Its fields have their names in Python.

        Raises Problem.
        """
        sent = {one: value for one, value in query.items() if value not in {None, ""}}
        return await self.call(BY_NAME[name], path or {}, query=sent)

    async def call(
        self,
        operation: AnyOperation,
        path: Mapping[str, str],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """Call an operation; raise Problem."""
        service = self._service
        entry = RequestLogEntry(
            "console",
            {"operation": operation.name},
            self._request_id,
            service.request_metrics.of("console", operation.name),
        )
        call = Call({name: text if is_id(text) else "" for name, text in path.items()}, {})
        call.request_id, call.receive = self._request_id, self._receive
        call.follow(operation)
        if service.tracing is not None:
            entry.span = service.tracing.start_request("console", operation.name, {})
            call.span = entry.span
        work = self._execute(call, operation, query or {}, body or {})
        reply = await attempt(work, call, entry)
        if isinstance(reply, Problem):
            raise reply
        entry.record_success(reply.status)
        found = orjson.loads(reply.body) if reply.media is None else reply.body
        return Answer(body=found, next_after=_next_after(reply), sequence=reply.sequence)

    async def _execute(
        self,
        call: Call,
        operation: AnyOperation,
        query: Mapping[str, object],
        body: Mapping[str, object],
    ) -> Reply:
        own = self.session.principal
        call.principal = self._principal_for(operation) or own
        if operation.roles:
            require_role(operation, call.principal)
            self._service.tenant_access.check(own.tenant, caller_of(own), reserve_for(operation))
        if operation.query is not None:
            fields = {**query, **self._tenant(operation.query.model_fields)}
            call.query = validate(operation.query, _named(operation, fields, as_text=True))
        if operation.body is not None:
            names = operation.body.model_fields if operation.query is None else {}
            tenant = self._tenant(names)
            call.body = validate(operation.body, _named(operation, {**body, **tenant}))
        if operation.roles:
            check_tenant(call.principal, call.body, call.query)
        reply = await handler_for(operation, self._service)(call)
        assert isinstance(reply, Reply), f"{operation.name} streams"
        return reply

    def _principal_for(self, operation: AnyOperation) -> Principal | None:
        session = self.session
        for principal in (session.principal, session.reads_as):
            is_reader = principal is not session.principal
            if is_reader and not session.tenant:
                continue
            if not operation.roles or principal.role in operation.roles:
                return principal
        return None

    def _tenant(self, fields: Mapping[str, object]) -> Mapping[str, object]:
        return {TENANT: self.session.tenant} if TENANT in fields and self.session.tenant else {}


def _named(
    operation: AnyOperation, fields: Mapping[str, object], *, as_text: bool = False
) -> dict[str, object]:
    """Return fields with their names in JSON. All values of a query are text."""
    return {
        json_name(operation, name): str(value) if as_text else value
        for name, value in fields.items()
    }


def _next_after(reply: Reply) -> str | None:
    for name, value in reply.headers:
        if name == b"link":
            target = value.decode("ascii").partition(">")[0].removeprefix("<")
            return next(iter(parse_qs(urlsplit(target).query).get("after", ())), None)
    return None
