"""The parameter ``asOf`` of operations that read: answer as the service would have answered then.

* Every GET operation with a key has it, except those in ``WITHOUT_PAST``, each with its reason. It
  is added here, not where an operation is declared.
* Its name is ``asOf`` for all operations, also for those with names in snake_case.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import AwareDatetime as _AwareDatetime
from pydantic import BeforeValidator, Field, PlainSerializer, Strict, TypeAdapter, create_model

from quorate.contracts.operations import AS_OF, AnyOperation
from quorate.contracts.problems import PastNotKept
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.shared.records import changed
from quorate.domain.shared.timestamps import iso, of

HEADER, TIME_HEADER = "Quorate-As-Of", "Quorate-As-Of-Time"
_DIGITS_MAX = 16
_EXPECTED = "a sequence, or a time of RFC 3339 such as 2026-03-01T12:00:00Z, is required"
_time: TypeAdapter[datetime] = TypeAdapter(_AwareDatetime)

# The operations that read and have no past, and why.
WITHOUT_PAST: Mapping[str, str] = {
    "streamNotifications": "A stream follows the present.",
    "streamEvents": "A stream follows the present.",
    "getOwnKey": "It says what the key that calls may do now.",
    "getQuotas": "It says what may be used now; counts of the past are not kept.",
    "listTools": "It says which tools the key that calls may use now.",
    "listContents": "Contents are those of now: what was erased stays erased.",
    "searchMail": "The search index contains the messages of now.",
    "live": "It is the state of the process.",
    "ready": "It is the state of the process.",
    "metrics": "It is the state of the process.",
}


def _parse(value: object) -> int | datetime:
    """Return a sequence or a time; raise ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(_EXPECTED)  # noqa: TRY004 - pydantic reports it as an invalid field.
    if value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        return int(value)
    if "-" not in value[1:]:  # Pydantic would read a number as seconds since 1970.
        raise ValueError(_EXPECTED)
    try:
        return _time.validate_python(value)
    except ValueError as error:
        raise ValueError(_EXPECTED) from error


def _text(value: int | datetime) -> int | str:
    return iso(of(value)) if isinstance(value, datetime) else value


AsOf: TypeAlias = Annotated[
    Annotated[int, Strict(), Field(ge=1, le=SEQUENCE_MAX)] | Annotated[_AwareDatetime, Strict()],
    BeforeValidator(_parse),
    PlainSerializer(_text),
]


def has_past(operation: AnyOperation) -> bool:
    """Whether the operation accepts ``asOf``."""
    return (
        operation.method == "GET"
        and operation.query is not None
        and operation.name not in WITHOUT_PAST
    )


def with_as_of(operation: AnyOperation) -> AnyOperation:
    """Return the operation with the parameter ``asOf``, if it has a past."""
    if not has_past(operation):
        return operation
    query: Any = operation.query
    field = Field(
        default=None,
        alias="asOf",
        description="Answer as of this moment: a sequence of the tenant, or a time (RFC 3339).",
        examples=["2026-03-01T12:00:00.000Z"],
    )
    added: dict[str, Any] = {AS_OF: (AsOf | None, field)}
    model = create_model(f"{query.__name__}AsOf", __base__=query, __doc__=query.__doc__, **added)
    return changed(operation, query=model, errors=(*operation.errors, PastNotKept))
