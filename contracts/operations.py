"""Operations: one declaration for each, from which every transport and client is made.

From it follow the HTTP route, the NATS subject, the fast lanes, the API documents, the SDK's
``Client.call``, ``quorate call``, metric labels, and the tests of tenant isolation.
"""

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from quorate.contracts.downloads import ANY_MEDIA
from quorate.contracts.operator_actions import OPERATOR_ACTIONS
from quorate.contracts.problems import KINDS
from quorate.contracts.wire_models import has_snake_case
from quorate.domain.identity.principals import Role
from quorate.domain.identity.tenants import TenantIsPaused
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import record

R = TypeVar("R")

ID_LENGTH_MAX = 64
BODY_BYTES_MAX = 64 * 1024  # Unless the operation declares another limit.
JSON_MEDIA = "application/json"
AS_OF = "as_of"  # Added by contracts/as_of.py; ``asOf`` for all operations.
_PATH_PARAMETER = re.compile(r"{(\w+)}")


@record
class Operation(Generic[R]):
    """The declaration of one operation. An operation without roles is public and needs no key."""

    method: str
    path: str
    name: str
    summary: str  # Imperative, without a period.
    description: str = ""  # Side conditions, as full sentences.
    roles: frozenset[Role] = frozenset()
    body: type[BaseModel] | None = None
    error_object: bool = False  # Its problems also contain ``error`` (contracts/problems.py).
    body_bytes_max: int = BODY_BYTES_MAX  # Over HTTP; over NATS it is BODY_BYTES_MAX for all.
    body_optional: bool = False  # An empty body means the defaults of the model.
    body_media: str = JSON_MEDIA  # Another one: the handler gets the bytes. HTTP only.
    query: type[BaseModel] | None = None
    response: type[R] | None = None  # A model, a TypedDict, or a list of one.
    media: str = "text/html"  # The media type of a response that is not JSON; ANY_MEDIA: a file.
    errors: Sequence[type[DomainError]] = ()
    command: bool = False  # Accepts an Idempotency-Key.
    streams: bool = False
    hot: bool = False  # Served by the fast lanes as well.
    urgent: bool = False  # Runs before others: a delay would lose or block a lease.
    unmetered: bool = False  # No daily quota rejects it: it only ends what exists.
    while_paused: bool = False  # Agents of a paused tenant may call it, though it is a command.
    tool: str | None = None  # Its name as a tool: served at /v1/tools/{tool}, and over MCP.
    of_key: bool = False  # Concerns the key itself. HTTP only: NATS requests carry no key.

    @property
    def has_snake_case(self) -> bool:
        """Whether its fields and ids have their names of Python in JSON."""
        return has_snake_case(self.body) or has_snake_case(self.query)

    @property
    def is_download(self) -> bool:
        """Whether the response is a file (contracts/downloads.py)."""
        return self.media == ANY_MEDIA

    @property
    def has_raw_body(self) -> bool:
        """Whether the body is not JSON: then there is no model, and the handler gets bytes."""
        return self.body_media != JSON_MEDIA

    @property
    def has_body(self) -> bool:
        return self.body is not None or self.has_raw_body

    @property
    def over_nats(self) -> bool:
        """Whether an agent may call the operation over NATS."""
        is_http_only = self.streams or self.of_key or self.has_raw_body
        return "agent" in self.roles and not is_http_only


AnyOperation: TypeAlias = Operation[Any]


def is_pausable(operation: AnyOperation) -> bool:
    """Whether a paused tenant rejects the commands of this operation, unless of an admin key.

    This holds for every operation that does not declare otherwise, except those of operators.
    """
    return not (operation.while_paused or operation.name in OPERATOR_ACTIONS)


def known_codes(operation: AnyOperation) -> frozenset[str]:
    """Return every problem code that this operation can respond with."""
    codes = {"internal_error", "unavailable", "not_found", "method_not_allowed"}
    if operation.roles:
        codes |= {"unauthorized", "role_forbidden", "tenant_forbidden", "rate_limited"}
        if operation.roles - {"admin"}:
            codes.add("tenant_suspended")
    if operation.has_body:
        codes |= {
            "malformed_request",
            "body_too_large",
            "unsupported_media_type",
            "request_timeout",
        }
    if operation.body is not None:
        codes.add("invalid_request")
    if operation.query is not None:
        codes |= {"malformed_request", "invalid_request"}
    if operation.body is not None and operation.query is not None:
        codes.add("tenant_ambiguous")
    if operation.command:
        codes |= {"idempotency_key_invalid", "idempotency_key_reused"}
        if operation.roles - {"admin"} and not operation.unmetered:
            codes.add("daily_quota_exceeded")
        if operation.roles - {"admin"} and is_pausable(operation):
            codes.add(TenantIsPaused.code)
    codes |= {error.code for error in operation.errors}
    assert codes <= KINDS.keys(), f"{operation.name} names unknown problems"
    return frozenset(codes)


def path_parameters(operation: AnyOperation) -> Sequence[str]:
    """Return the parameter names in the path, as the handler receives them."""
    return _PATH_PARAMETER.findall(operation.path)


def json_name(operation: AnyOperation, name: str) -> str:
    """Return the name of a field or of a parameter in the path, as it is in JSON and in URLs."""
    return name if operation.has_snake_case and name != AS_OF else to_camel(name)


def is_id(text: str) -> bool:
    """Whether the text has a form that an id of the service may have."""
    return len(text) <= ID_LENGTH_MAX and text.isascii() and text.isprintable()
