"""A pydantic model of each problem document, and the schemas made from these models.

The models are flat: each names all of its fields with constants, so that code generators accept
them.
"""

from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel, to_pascal
from typing_extensions import TypedDict

from quorate.api.json_schemas import Json, generate_schemas
from quorate.contracts.problems import KINDS, PROBLEM_TYPE
from quorate.contracts.responses import HolderResponse, Time
from quorate.domain.identity.principals import Role
from quorate.domain.shared.quotas import QUOTAS


class FieldError(TypedDict):
    """An invalid field, and why it is invalid."""

    field: str
    why: str


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457). Base decisions on ``code``, which is stable."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
    type: str = Field(description="URN of the code.")
    title: str = Field(description="The same for all problems of one code.")
    status: int
    detail: str = Field(description="One sentence about this case.")
    code: str
    request_id: str = Field(description="The id under which the service logged the request.")


_REQUIRED: Any = ...
_Seconds = Annotated[float, Field(ge=0)]
# The details of each code, in addition to the fields of all problems.
_DETAILS: dict[str, dict[str, Any]] = {
    "acting_as_another": {"agent_id": (str, _REQUIRED)},
    "agent_inactive": {"agent_id": (str, _REQUIRED), "last_heartbeat": (Time, _REQUIRED)},
    "already_voted": {"vote": (Literal["approve", "reject"], _REQUIRED)},
    "lease_conflict": {
        "conflict": (Literal[True], _REQUIRED),
        "lease_holder": (HolderResponse, _REQUIRED),
    },
    "lease_ended": {
        "lease_id": (str, _REQUIRED),
        "lease_status": (Literal["released", "expired", "revoked"], _REQUIRED),
    },
    "consensus_closed": {
        "consensus_status": (Literal["approved", "rejected", "expired"], _REQUIRED)
    },
    "not_eligible": {"agent_id": (str, _REQUIRED)},
    "tenant_exists": {"tenant_id": (str, _REQUIRED)},
    "rate_limited": {
        "limited_by": (Literal["key", "tenant", "address"], _REQUIRED),
        "retry_after_seconds": (_Seconds, _REQUIRED),
    },
    "quota_exceeded": {"quota": (Literal[tuple(QUOTAS)], _REQUIRED), "limit": (int, _REQUIRED)},
    # Optional: a factory leaves no default in the schema.
    "role_forbidden": {"role": (Role, Field(default_factory=str))},
    "invalid_request": {"errors": (list[FieldError], Field(default_factory=list))},
}


@cache
def problem_model(code: str) -> type[ProblemDocument]:
    """Return the model of the problems with this code."""
    kind = KINDS[code]
    constants: dict[str, Any] = {
        "type": (Literal[PROBLEM_TYPE + code], ...),
        "status": (Literal[kind.status], ...),
        "code": (Literal[code], ...),
    }
    return create_model(
        schema_name(code),
        __base__=ProblemDocument,
        __doc__=f"{kind.title}.",
        **constants,
        **_DETAILS.get(code, {}),
    )


def problem_schemas(codes: Iterable[str]) -> Json:
    """Return one schema for each code, and those that they refer to."""
    models = {schema_name(code): problem_model(code) for code in sorted(codes)}
    _, definitions = generate_schemas(
        {name: ("validation", model) for name, model in models.items()}
    )
    return definitions


def schema_name(code: str) -> str:
    return f"{to_pascal(code)}Problem"
