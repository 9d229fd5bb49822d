"""Read how much of its quotas a tenant or an agent has used."""

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_READ
from quorate.contracts.wire_models import AgentId, Query, ResponseModel, Time, optional
from quorate.domain.identity.agents import AgentNotFound
from quorate.domain.shared.quotas import Quota


class QuotasQuery(Query):
    agent_id: AgentId | None = Field(
        default=None,
        description="Agent whose own quotas are added. Default: the agent of an agent key.",
    )


class QuotaInfo(ResponseModel):
    """A quota. ``limit`` is null where there is none; ``resetsAt`` only for a quota of a day."""

    quota: Quota
    used: int
    limit: int | None
    resets_at: Time | None = optional()


class QuotasInfo(ResponseModel):
    """Quotas of the tenant, and of an agent if there is ``agentId``."""

    tenant_id: str
    agent_id: str | None = optional()
    quotas: list[QuotaInfo]


GET_QUOTAS = Operation(
    method="GET",
    path="/v1/quotas",
    name="getQuotas",
    summary="Get the quotas and their use",
    description="Days begin at midnight UTC.",
    roles=CAN_READ,
    query=QuotasQuery,
    response=QuotasInfo,
    errors=(AgentNotFound,),
)
OPERATIONS = (GET_QUOTAS,)
