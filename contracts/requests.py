"""Request models: one strict model for each body and each query.

* Field names and defaults are exactly those of the seeds.
* Unknown fields are rejected.
* ``tenantId`` is accepted everywhere and must match the tenant of the key.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from quorate.contracts.problems import Problem
from quorate.domain.coordination import consensus, leases
from quorate.domain.identity.agents import AGENT_NAME
from quorate.domain.identity.tenants import TENANT_ID
from quorate.domain.shared.email_addresses import (
    ADDRESS_LENGTH_MAX,
    AddressUnusable,
    EmailAddress,
    contact,
)
from quorate.runtime.domain_names import to_a_labels

ROLE_LENGTH_MAX = 64
INTENT_LENGTH_MAX = 128
ACTION_LENGTH_MAX = 1_000
REASON_LENGTH_MAX = 4_000
SETTING_LENGTH_MAX = 256
SEQUENCE_MAX = 2**53 - 1  # The largest integer that every JSON reader represents exactly.
PAGE_LENGTH_MAX = 1_000
PAGE_LENGTH_DEFAULT = 100
WAIT_SECONDS_MAX = 30.0


def parse_contact_email(email: str) -> EmailAddress:
    """Return the contact that an e-mail address identifies; raises Problem if it is invalid."""
    try:
        return contact(email, to_a_labels)
    except AddressUnusable as error:
        raise Problem(error.code, f"contactEmail: {error.why}.") from None


def _text(length_max: int) -> Any:  # noqa: ANN401 - a field's description.
    return Field(min_length=1, max_length=length_max)


TenantId = Annotated[str, Field(pattern=f"^{TENANT_ID.pattern}$")]
AgentName = Annotated[str, Field(pattern=f"^{AGENT_NAME.pattern}$")]
AgentId = Annotated[str, Field(min_length=1, max_length=64, examples=["agent_a1b2c3d4e5f6"])]
ContactEmail = Annotated[
    str,
    Field(min_length=3, max_length=ADDRESS_LENGTH_MAX, examples=["user@example.com"]),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Duration = Annotated[Number, Field(ge=leases.DURATION_MINUTES_MIN, le=leases.DURATION_MINUTES_MAX)]
Timeout = Annotated[
    Number, Field(ge=consensus.TIMEOUT_MINUTES_MIN, le=consensus.TIMEOUT_MINUTES_MAX)
]
Sequence = Annotated[int, Field(ge=0, le=SEQUENCE_MAX)]
Wait = Annotated[Number, Field(ge=0, le=WAIT_SECONDS_MAX)]
PageLength = Annotated[int, Field(ge=1, le=PAGE_LENGTH_MAX)]
Floor = Annotated[Number, Field(ge=0, le=1)]


class TenantRequest(BaseModel):
    """Base of all requests: ``tenantId`` is optional and is checked against the key."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False
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


# -- Bodies ------------------------------------------------------------------


class RegisterBody(TenantRequest):
    agent_name: AgentName | None = Field(
        default=None,
        description="Unique per tenant, case-insensitive. Required unless the key is an agent key.",
    )
    agent_role: Annotated[str, _text(ROLE_LENGTH_MAX)] = "general"


class HeartbeatBody(AgentRequest):
    pass


class LeaseBody(AgentRequest):
    contact_email: ContactEmail
    intent: Annotated[str, _text(INTENT_LENGTH_MAX)] = "general"
    duration_minutes: Duration = leases.DURATION_MINUTES_DEFAULT


class RenewBody(TenantRequest):
    duration_minutes: Duration = leases.DURATION_MINUTES_DEFAULT


class SendBody(AgentRequest):
    contact_email: ContactEmail
    fence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)] | None = Field(
        default=None,
        description="Fencing token of the agent's lease. The send gate blocks a stale token.",
    )


class ConsensusBody(TenantRequest):
    requesting_agent_id: AgentId | None = None
    proposer_agent: AgentName | None = Field(
        default=None, description="Name of the proposing agent."
    )
    action: Annotated[str, _text(ACTION_LENGTH_MAX)]
    contact_email: ContactEmail
    reason: Annotated[str, _text(REASON_LENGTH_MAX)]
    timeout_minutes: Timeout = consensus.TIMEOUT_MINUTES_DEFAULT
    electorate: Literal["live", "snapshot"] = Field(
        default="live",
        description=(
            "`live`: the agents that are active at each vote. "
            "`snapshot`: the agents that are active now."
        ),
    )
    proposer_votes: bool = True
    floor: Floor | None = Field(
        default=None,
        description="Smallest electorate size that counts, as a share of the present electorate.",
    )

    def floor_text(self) -> str | None:
        """Return ``floor`` as a decimal fraction, because events contain no floats."""
        return None if self.floor is None else format(Decimal(repr(self.floor)), "f")


class VoteBody(AgentRequest):
    vote: Literal["approve", "reject"]
    reason: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] | None = None


class ConfigBody(BaseModel):
    """An agent's settings. Unknown settings are ignored, as the seed specifies."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    tenantId: TenantId | None = None  # noqa: N815 - the name on the wire.
    humanizer_enabled: bool = False
    humanizer_style: Annotated[str, Field(max_length=SETTING_LENGTH_MAX)] = ""
    humanizer_provider: Annotated[str, Field(max_length=SETTING_LENGTH_MAX)] = ""

    @property
    def tenant_id(self) -> str | None:
        return self.tenantId


class TenantBody(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False
    )
    tenant_id: TenantId


class KeyBody(TenantRequest):
    role: Literal["admin", "tenant", "agent", "auditor"]
    agent_name: AgentName | None = Field(
        default=None, description="Agent that the key belongs to. Only for role `agent`."
    )


# -- Queries -----------------------------------------------------------------


class Query(TenantRequest):
    """Base of queries: numbers are parsed from text; all other checks stay strict."""

    model_config = ConfigDict(strict=False)


class PageQuery(Query):
    limit: PageLength = PAGE_LENGTH_DEFAULT
    after: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Id of the last item of the previous page."
    )


class LeasesQuery(PageQuery):
    agent_id: AgentId | None = None
    contact_email: ContactEmail | None = None


class ConsensusQuery(PageQuery):
    status: consensus.Status | None = None


class EventsQuery(Query):
    after: Sequence = Field(default=0, description="Sequence of the last event you received.")
    limit: PageLength = PAGE_LENGTH_DEFAULT
    type: Annotated[str, Field(max_length=64)] | None = None
    agent_id: AgentId | None = None


class AgentNotificationsQuery(Query):
    """A query for one agent, given by id or by name. An agent key may omit both."""

    agent_id: AgentId | None = Field(default=None, description="Agent id.")
    agent_name: AgentName | None = Field(
        default=None, description="Agent name, as an alternative to the id."
    )


class NotificationsQuery(AgentNotificationsQuery):
    after: Sequence = Field(
        default=0, description="Sequence of the last notification you received."
    )
    limit: PageLength = PAGE_LENGTH_DEFAULT
    wait: Wait = Field(
        default=0.0,
        description="Seconds to wait for a notification if none is available (long poll).",
    )


class StreamQuery(Query):
    after: Sequence | None = Field(
        default=None,
        description="Same as `Last-Event-ID`, for clients that cannot set this header.",
    )


class NotificationsStreamQuery(AgentNotificationsQuery, StreamQuery):
    pass
