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


def schema_name(code: str) -> str:
    return f"{to_pascal(code)}Problem"


@cache
def problem_model(code: str) -> type[ProblemDocument]:
    """Return the model of the problems with this code."""
    kind = KINDS[code]
    constants: Fields = {
        "type": (Literal[PROBLEM_TYPE + code], ...),
        "status": (Literal[kind.status], ...),
        "code": (Literal[code], ...),
    }
    return create_model(
        schema_name(code),
        __base__=ProblemDocument,
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


def problem_schemas(codes: Iterable[str]) -> Json:
    """Return one schema for each code, and those that they refer to."""
    models = {schema_name(code): problem_model(code) for code in sorted(codes)}
    _, definitions = generate_schemas(
        {name: ("validation", model) for name, model in models.items()}
    )
    return definitions
