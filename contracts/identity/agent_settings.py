"""Read and replace the settings of an agent: one flat object, always written in full."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.contracts.wire_models import SETTING_LENGTH_MAX, Query, TenantId
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.shared.quotas import QuotaExceeded

CONFIG = "/v1/agent/agents/{agent_id}/config"


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


class ConfigInfo(TypedDict, total=False):
    """The settings that were stored for the agent."""

    humanizer_enabled: bool
    humanizer_style: str
    humanizer_provider: str


GET_CONFIG = Operation(
    method="GET",
    path=CONFIG,
    name="getConfig",
    summary="Get an agent's settings",
    roles=CAN_READ,
    query=Query,
    response=ConfigInfo,
    errors=(AgentNotFound,),
)
PUT_CONFIG = Operation(
    method="PUT",
    path=CONFIG,
    name="putConfig",
    summary="Replace an agent's settings",
    description="Unknown settings are ignored.",
    roles=CAN_ACT,
    body=ConfigBody,
    query=Query,
    response=ConfigInfo,
    errors=(QuotaExceeded, AgentNotFound, ActingAsAnother),
    command=True,
)
OPERATIONS = (GET_CONFIG, PUT_CONFIG)
