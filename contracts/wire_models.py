"""Base classes and field types of all wire models.

* Field names and defaults are exactly those of the seeds. In Python a field has its snake_case
  name; in JSON it has its camelCase name, and in the models ``Snake...`` the same as in Python.
* Requests are validated strictly and reject unknown fields. ``tenantId`` is accepted everywhere and
  must match the tenant of the key.
* Responses ignore unknown fields, because a newer service may send more; ``raw`` keeps them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ParamSpec, Self, TypeAlias, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
)
from pydantic.alias_generators import to_camel

from quorate.domain.identity.agents import AGENT_NAME
from quorate.domain.identity.tenants import TENANT_ID
from quorate.domain.shared.email_addresses import ADDRESS_LENGTH_MAX
from quorate.domain.shared.timestamps import iso, of

P = ParamSpec("P")
M = TypeVar("M")

ROLE_LENGTH_MAX = 64
REASON_LENGTH_MAX = 4_000
SETTING_LENGTH_MAX = 256
SEQUENCE_MAX = 2**53 - 1  # The largest integer that every JSON reader represents exactly.
PAGE_LENGTH_MAX = 1_000
PAGE_LENGTH_DEFAULT = 100
WAIT_SECONDS_MAX = 30.0

Json: TypeAlias = Mapping[str, Any]


def text_field(length_max: int) -> Any:  # noqa: ANN401 - a field's description.
    return Field(min_length=1, max_length=length_max)


def _format_time(time: datetime) -> str:
    return iso(of(time))


def _require_rfc3339(text: object) -> object:
    """Reject numbers, which pydantic would read as seconds since 1970."""
    is_number = isinstance(text, int | float) or (isinstance(text, str) and "-" not in text[1:])
    if is_number:
        raise ValueError("a time of RFC 3339 is required, such as 2026-03-01T12:00:00Z")
    return text


TenantId = Annotated[str, Field(pattern=f"^{TENANT_ID.pattern}$")]
AgentName = Annotated[str, Field(pattern=f"^{AGENT_NAME.pattern}$")]
AgentId = Annotated[str, Field(min_length=1, max_length=64, examples=["agent_a1b2c3d4e5f6"])]
ContactEmail = Annotated[
    str,
    Field(min_length=3, max_length=ADDRESS_LENGTH_MAX, examples=["user@example.com"]),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Sequence = Annotated[int, Field(ge=0, le=SEQUENCE_MAX)]
Wait = Annotated[Number, Field(ge=0, le=WAIT_SECONDS_MAX)]
Reason = Annotated[
    str, Field(min_length=1, max_length=REASON_LENGTH_MAX, description="Why, for the event log.")
]
PageLength = Annotated[int, Field(ge=1, le=PAGE_LENGTH_MAX)]
QueryTime = Annotated[
    AwareDatetime,
    BeforeValidator(_require_rfc3339),
    PlainSerializer(_format_time, return_type=str),
    Field(examples=["2026-03-01T12:00:00.000Z"]),
]
Time = Annotated[AwareDatetime, PlainSerializer(_format_time, return_type=str, when_used="json")]


def optional(**options: Any) -> Any:  # noqa: ANN401 - a field's description.
    """Declare a field of a response that is left out instead of null."""
    return Field(default=None, exclude_if=lambda value: value is None, **options)


def omit_null(schema: dict[str, Any]) -> None:
    """Describe an optional field as one that may be absent; the service never sends null."""
    for field in schema.get("properties", {}).values():
        choices = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
        if len(choices) == 1 and field.get("default", ...) is None:
            del field["anyOf"], field["default"]
            field.update(choices[0])


# -- Responses ---------------------------------------------------------------


class ResponseModel(BaseModel):
    """Base of responses and of their parts.

    ``raw`` keeps the JSON object unchanged, so members of a newer service stay readable.
    """

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, defer_build=True
    )
    _raw: Json | None = PrivateAttr(default=None)

    @property
    def raw(self) -> Json:
        """The JSON object that this was parsed from, or that it would be written as."""
        if self._raw is not None:
            return self._raw
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, json: Json) -> Self:
        """Parse a JSON object. Raises ValueError if it is not from Quorate."""
        parsed = cls.model_validate(json)
        parsed._raw = json  # noqa: SLF001 - of this class.
        return parsed

    def __eq__(self, other: object) -> bool:
        """Compare the fields, but not ``raw``."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # A field may hold a list.


# -- Requests ----------------------------------------------------------------


class TenantRequest(BaseModel):
    """Base of all requests: ``tenantId`` is optional and is checked against the key."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
    )
    tenant_id: TenantId | None = Field(
        default=None, description="Tenant id. Optional: the API key determines the tenant."
    )


class AgentRequest(TenantRequest):
    """A request for one agent, given by id or by name. An agent key may omit both."""

    agent_id: AgentId | None = Field(default=None, description="Agent id.")
    agent_name: AgentName | None = Field(
        default=None, description="Agent name, as an alternative to the id."
    )


class ReasonRequest(TenantRequest):
    """A request of an operator, which says why."""

    reason: Reason


class Query(TenantRequest):
    """Base of queries: numbers are parsed from text; all other checks stay strict."""

    model_config = ConfigDict(strict=False)


class ReasonQuery(Query):
    """The query of an action of operators without a body."""

    reason: Reason | None = None


class PageQuery(Query):
    limit: PageLength = PAGE_LENGTH_DEFAULT
    after: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Id of the last item of the previous page."
    )


# -- Names in snake_case -----------------------------------------------------


def _same_name(name: str) -> str:
    return name


_SNAKE_CASE = ConfigDict(alias_generator=_same_name)


class SnakeResponse(ResponseModel):
    """Base of responses, and of their parts, with the field names of Python."""

    model_config = _SNAKE_CASE


class SnakeRequest(TenantRequest):
    """A request with the field names of Python: ``tenant_id`` is optional."""

    model_config = _SNAKE_CASE


class SnakeReasonRequest(ReasonRequest):
    """A request of an operator, which says why; ``tenant_id`` is optional."""

    model_config = _SNAKE_CASE


class SnakeAgentRequest(AgentRequest):
    """A request for one agent, given as ``agent_id`` or ``agent_name``."""

    model_config = _SNAKE_CASE


class SnakeQuery(Query):
    model_config = _SNAKE_CASE


class SnakePageQuery(PageQuery):
    model_config = _SNAKE_CASE


class SnakeAgentQuery(SnakeQuery, AgentRequest):
    """A query for one agent, given as ``agent_id`` or ``agent_name``."""

    model_config = ConfigDict(**_SNAKE_CASE, strict=False)


def has_snake_case(model: type[BaseModel] | None) -> bool:
    """Whether the fields of a model have their names of Python in JSON."""
    return model is not None and model.model_config.get("alias_generator") is _same_name


def unchecked(model: Callable[P, M]) -> Callable[P, M]:
    """Make an instance without validation: the service decides what is valid.

    A client may be older or newer than its service, and the service's problem document names the
    invalid field in any case.
    """
    construct: Callable[P, M] = model.model_construct  # type: ignore[attr-defined]
    return construct
