"""A pydantic model of each problem document, made from the class that declares the error.

The fields of the class are the additional members, under their camelCase names.
"""

from collections.abc import Iterable
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel, to_pascal

from quorate.contracts.coordination.leases import LeaseConflictDetails
from quorate.contracts.json_schemas import Json, generate_schemas
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import KINDS, PROBLEM_TYPE
from quorate.contracts.wire_models import Time
from quorate.domain.coordination.leases import LeaseHeld
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.timestamps import Timestamp

Fields: TypeAlias = dict[str, Any]
# Errors whose members are not their fields, because a seed names the members.
_MEMBERS: dict[type[DomainError], type[BaseModel]] = {LeaseHeld: LeaseConflictDetails}


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457). Base decisions on ``code``, which is stable."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
    type: str = Field(description="URN of the code.")
    title: str = Field(description="The same for all problems of one code.")
    status: int
    detail: str = Field(description="One sentence about this case.")
    code: str
    request_id: str = Field(description="The id under which the service logged the request.")


class ErrorObject(BaseModel):
    """The problem once more, in the form of seed 002."""

    code: str
    message: str = Field(description="Same as `detail`.")
    retry_after: int | None = Field(description="Seconds to wait before the next attempt.")
    details: dict[str, Any] = Field(
        description="The additional members of the problem, with names in snake_case."
    )


class ProblemDocumentWithError(ProblemDocument):
    """A problem document of an operation that has ``error_object``."""

    error: ErrorObject | None = Field(
        default=None, description="Absent if the request did not reach the operation."
    )


def schema_name(code: str, *, error_object: bool = False) -> str:
    return f"{to_pascal(code)}Problem{'WithError' if error_object else ''}"


@cache
def problem_model(code: str, *, error_object: bool = False) -> type[ProblemDocument]:
    """Return the model of the problems with this code."""
    kind = KINDS[code]
    constants: Fields = {
        "type": (Literal[PROBLEM_TYPE + code], ...),
        "status": (Literal[kind.status], ...),
        "code": (Literal[code], ...),
    }
    return create_model(
        schema_name(code, error_object=error_object),
        __base__=ProblemDocumentWithError if error_object else ProblemDocument,
        __doc__=f"{kind.title}.",
        **constants,
        **_members(kind.error),
    )


def _members(error: type[DomainError]) -> Fields:
    declared = _MEMBERS.get(error)
    if declared is not None:
        return {name: (field.annotation, field) for name, field in declared.model_fields.items()}
    return {
        field.name: (
            Time if field.type is Timestamp else field.type,
            ... if field.default_factory is MISSING else Field(default_factory=list),
        )
        for field in fields(error)
    }


def problem_schemas(codes_of: Iterable[tuple[AnyOperation, Iterable[str]]]) -> Json:
    """Return one schema for each code that an operation returns, and those that they refer to."""
    kinds = {(code, operation.error_object) for operation, codes in codes_of for code in codes}
    models = {
        schema_name(code, error_object=has_error): problem_model(code, error_object=has_error)
        for code, has_error in sorted(kinds)
    }
    _, definitions = generate_schemas(
        {name: ("validation", model) for name, model in models.items()}
    )
    return definitions
