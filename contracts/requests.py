"""What callers may send: one strict model for each body and each query.

Field names and defaults are those of the seeds, to the letter. Unknown fields are refused;
``tenantId`` is accepted everywhere and checked against the key's.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

import idna
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

ROLE_LENGTH_MAX = 64
INTENT_LENGTH_MAX = 128
ACTION_LENGTH_MAX = 1_000
REASON_LENGTH_MAX = 4_000
SETTING_LENGTH_MAX = 256
SEQUENCE_MAX = 2**53 - 1  # What every JSON reader can hold exactly.
PAGE_LENGTH_MAX = 1_000
PAGE_LENGTH_DEFAULT = 100
WAIT_SECONDS_MAX = 30.0


def read_contact_or_refuse(email: str) -> EmailAddress:
    """The contact an address stands for; raises Problem when it stands for none."""
    try:
        return contact(email, _to_a_labels)
    except AddressUnusable as refusal:
        raise Problem(refusal.code, f"contactEmail: {refusal.why}.") from None


def _to_a_labels(domain: str) -> str:
    """UTS 46, non-transitional, as browsers and mail servers do; IDNAError is a ValueError."""
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode("ascii")


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


class Sent(BaseModel):
    """Whatever a caller sends may name the tenant; the key decides whether that is right."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False
    )
    tenant_id: TenantId | None = Field(
        default=None, description="Your tenant. May be left out: the key names it."
    )


class ByAgent(Sent):
    """Sent for one agent, named by id or by name; an agent's own key may leave both out."""

    agent_id: AgentId | None = Field(default=None, description="Agent id.")
    agent_name: AgentName | None = Field(default=None, description="Agent name, for its id.")


# -- Bodies ------------------------------------------------------------------


class RegisterBody(Sent):
    agent_name: AgentName | None = Field(
        default=None, description="Unique per tenant, whatever its case. Required but for agents."
    )
    agent_role: Annotated[str, _text(ROLE_LENGTH_MAX)] = "general"


class HeartbeatBody(ByAgent):
    pass


class LeaseBody(ByAgent):
    contact_email: ContactEmail
    intent: Annotated[str, _text(INTENT_LENGTH_MAX)] = "general"
    duration_minutes: Duration = leases.DURATION_MINUTES_DEFAULT


class RenewBody(Sent):
    duration_minutes: Duration = leases.DURATION_MINUTES_DEFAULT


class SendBody(ByAgent):
    contact_email: ContactEmail
    fence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)] | None = Field(
        default=None, description="The fence of your lease. A stale one is blocked."
    )


class ConsensusBody(Sent):
    requesting_agent_id: AgentId | None = None
    proposer_agent: AgentName | None = Field(default=None, description="The proposer's name.")
    action: Annotated[str, _text(ACTION_LENGTH_MAX)]
    contact_email: ContactEmail
    reason: Annotated[str, _text(REASON_LENGTH_MAX)]
    timeout_minutes: Timeout = consensus.TIMEOUT_MINUTES_DEFAULT
    electorate: Literal["live", "snapshot"] = Field(
        default="live",
        description="live: whoever is active at each vote. snapshot: those active now, for good.",
    )
    proposer_votes: bool = True
    floor: Floor | None = Field(
        default=None, description="n never falls below this share of the present electorate."
    )

    def floor_text(self) -> str | None:
        """As a decimal fraction: events hold no floating numbers."""
        return None if self.floor is None else format(Decimal(repr(self.floor)), "f")


class VoteBody(ByAgent):
    vote: Literal["approve", "reject"]
    reason: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] | None = None


class ConfigBody(BaseModel):
    """Three settings; keys that are not ours are left out without a word, as the seed says."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    tenantId: TenantId | None = None  # noqa: N815 - as it is sent.
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


class KeyBody(Sent):
    role: Literal["admin", "tenant", "agent", "auditor"]
    agent_name: AgentName | None = Field(default=None, description="Whose key: for role agent.")


# -- Queries -----------------------------------------------------------------


class Query(Sent):
    """Query parameters arrive as text, so numbers are read from it; all else stays strict."""

    model_config = ConfigDict(strict=False)


class PageQuery(Query):
    limit: PageLength = PAGE_LENGTH_DEFAULT
    after: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The id of the last item of the page before."
    )


class LeasesQuery(PageQuery):
    agent_id: AgentId | None = None
    contact_email: ContactEmail | None = None


class ConsensusQuery(PageQuery):
    status: consensus.Status | None = None


class EventsQuery(Query):
    after: Sequence = Field(default=0, description="The sequence you have seen last.")
    limit: PageLength = PAGE_LENGTH_DEFAULT
    type: Annotated[str, Field(max_length=64)] | None = None
    agent_id: AgentId | None = None


class NotificationsOf(Query):
    """Asked for one agent, named by id or by name; an agent's own key may leave both out."""

    agent_id: AgentId | None = Field(default=None, description="Agent id.")
    agent_name: AgentName | None = Field(default=None, description="Agent name, for its id.")


class NotificationsQuery(NotificationsOf):
    after: Sequence = Field(default=0, description="The sequence you have seen last.")
    limit: PageLength = PAGE_LENGTH_DEFAULT
    wait: Wait = Field(
        default=0.0, description="When there is nothing yet, wait for it so many seconds."
    )


class StreamQuery(Query):
    after: Sequence | None = Field(
        default=None, description="As Last-Event-ID, for clients that cannot set it."
    )


class NotificationsStreamQuery(NotificationsOf, StreamQuery):
    pass
