"""Call operations in this process for one logged-in browser, as the API would serve its key.

* Each call checks the role of the key, its rate limit, and the fields, then the tenant.
* Each call is logged, counted and traced once, as transport ``console``.
* An admin key that picked a tenant reads as an auditor of it, and acts as itself.
* For a page of the past, every read is as of its moment, if the operation has a past.
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
from quorate.contracts.as_of import HEADER, TIME_HEADER, WITHOUT_PAST, has_past
from quorate.contracts.operations import AS_OF, AnyOperation, is_id, json_name
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS
from quorate.contracts.validation import validate
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, instant
from quorate.runtime.asgi import Receive

BY_NAME: Mapping[str, AnyOperation] = {one.name: one for one in OPERATIONS}
TENANT = "tenant_id"


@record
class Answer:
    """What an operation answered. ``next_after`` is the cursor of the next page of a list."""

    body: Any
    headers: Mapping[str, str]
    next_after: str | None = None
    sequence: int | None = None


@record
class ShownMoment:
    """The moment of a page of the past; ``head`` is the last sequence of the tenant now."""

    sequence: int
    at: Timestamp
    head: int


class Caller:
    """Calls operations as the key of a session.

    * ``as_of``: the moment that is read, as it was sent; "" is the present.
    * ``head``: the last sequence of the tenant that an answer reflected.
    * ``reasons``: why something that was read is of now although the page is of the past.
    """

    def __init__(
        self,
        service: Service,
        session: Session,
        *,
        request_id: str,
        receive: Receive,
        as_of: str = "",
    ) -> None:
        self.session = session
        self.as_of = as_of
        self.head = 0
        self.reasons: dict[str, str] = {}
        self._moment: ShownMoment | None = None
        self._service = service
        self._request_id = request_id
        self._receive = receive

    @property
    def now(self) -> Timestamp:
        return self._service.clock() if self._moment is None else self._moment.at

    async def find_moment(self) -> ShownMoment | None:
        """Find the moment that is read, None for the present; raise Problem.

        It is called before a page of the past reads anything else.
        """
        if self.as_of:
            any_list: AnyOperation = BY_NAME["listAgents"]
            present = await self.call(any_list, {}, query={"limit": 1})
            answer = await self.read(any_list.name, limit=1)
            sequence, at = answer.headers[HEADER.lower()], answer.headers[TIME_HEADER.lower()]
            self._moment = ShownMoment(
                sequence=int(sequence), at=instant(at), head=present.sequence or 0
            )
        return self._moment

    def may_call(self, name: str) -> bool:
        """Return whether an operation exists that keys of this role may call."""
        operation = BY_NAME.get(name)
        return operation is not None and self._principal_for(operation) is not None

    async def read(
        self, name: str, path: Mapping[str, str] | None = None, **query: object
    ) -> Answer:
        """Call an operation that has a query, as of the moment of the page.

        The fields of the query have their names in Python. Raises Problem.
        """
        operation = BY_NAME[name]
        sent = {one: value for one, value in query.items() if value not in {None, ""}}
        if self.as_of and has_past(operation):
            sent[AS_OF] = self.as_of
        elif self.as_of:
            self.reasons[name] = WITHOUT_PAST[name]
        answer = await self.call(operation, path or {}, query=sent)
        self.head = max(self.head, answer.sequence or 0)
        return answer

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
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in reply.headers}
        return Answer(
            body=found, next_after=_next_after(headers), sequence=reply.sequence, headers=headers
        )

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


def _next_after(headers: Mapping[str, str]) -> str | None:
    target = headers.get("link", "").partition(">")[0].removeprefix("<")
    return next(iter(parse_qs(urlsplit(target).query).get("after", ())), None)
