"""Issue, list, rotate and revoke API keys. The key secret is shown once; a revocation is final."""

from typing import Annotated, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import ALL_ROLES, CAN_ISSUE_KEYS
from quorate.contracts.wire_models import (
    AgentName,
    PageQuery,
    Query,
    ReasonQuery,
    ResponseModel,
    TenantRequest,
    Time,
    optional,
)
from quorate.domain.identity.api_keys import (
    EXPIRY_SECONDS_MAX,
    EXPIRY_SECONDS_MIN,
    OVERLAP_SECONDS_MAX,
    KeyEnded,
    KeyNotFound,
    PresetNotFound,
)
from quorate.domain.identity.principals import PRESET_NAME, Role
from quorate.domain.identity.tenants import TenantNotFound
from quorate.domain.shared.quotas import QuotaExceeded

KEYS = "/v1/keys"
PresetName = Annotated[str, Field(pattern=f"^{PRESET_NAME.pattern}$", examples=["observer"])]
Expiry = Annotated[int, Field(ge=EXPIRY_SECONDS_MIN, le=EXPIRY_SECONDS_MAX)]
_EXPIRY = "Seconds until the new key expires. Without it, the key is valid until it is revoked."


class KeyBody(TenantRequest):
    role: Role
    agent_name: AgentName | None = Field(
        default=None, description="Agent that the key belongs to. Only for role `agent`."
    )
    expires_in_seconds: Expiry | None = Field(default=None, description=_EXPIRY)
    preset: PresetName | None = Field(
        default=None,
        description="Preset whose policy the tools of this key obey. Only for role `agent`.",
    )


class RotateBody(TenantRequest):
    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX)] = Field(
        default=0,
        description="Seconds for which the old key stays valid. With 0, it is revoked at once.",
    )
    expires_in_seconds: Expiry | None = Field(default=None, description=_EXPIRY)


class KeyInfo(ResponseModel):
    id: str
    tenant_id: str
    role: Role
    agent_id: str | None
    agent_name: str | None
    created_at: Time
    revoked_at: Time | None
    expires_at: Time | None = None  # A service before the expiry sends none.
    preset: str | None = optional()


class IssuedKeyInfo(KeyInfo):
    """``key`` is the full key. A repeated request returns null, because only a hash is stored."""

    key: str | None = Field(repr=False)


class RevokeQuery(ReasonQuery):
    end_agent: bool = Field(
        default=False,
        description=(
            "Also deregister the agent of the key, unless it has another key. "
            "Without it, the agent remains until its timeout."
        ),
    )


class Revoked(ResponseModel):
    """``agentEnded`` is the result of ``endAgent``: whether the agent is not registered now."""

    revoked: Literal[True] = True
    agent_ended: bool | None = optional()


ISSUE_KEY = Operation(
    method="POST",
    path=KEYS,
    name="issueKey",
    summary="Issue an API key",
    description="Only this response contains the full key.",
    roles=CAN_ISSUE_KEYS,
    body=KeyBody,
    query=Query,
    response=IssuedKeyInfo,
    errors=(QuotaExceeded, TenantNotFound, PresetNotFound),
    command=True,
)
LIST_KEYS = Operation(
    method="GET",
    path=KEYS,
    name="listKeys",
    summary="List API keys",
    description="The list does not contain key secrets.",
    roles=CAN_ISSUE_KEYS,
    query=PageQuery,
    response=list[KeyInfo],
)
GET_OWN_KEY = Operation(
    method="GET",
    path=KEYS + "/self",
    name="getOwnKey",
    summary="Get the API key of this request",
    description="The response names the key's tenant, role and agent.",
    roles=ALL_ROLES,
    query=Query,
    response=KeyInfo,
    of_key=True,
)
ROTATE_KEY = Operation(
    method="POST",
    path=KEYS + "/{key_id}/rotate",
    name="rotateKey",
    summary="Replace an API key by a new one",
    description=(
        "Issues a key with the same role, tenant and agent, and ends the old one. "
        "Only this response contains the full key."
    ),
    roles=CAN_ISSUE_KEYS,
    body=RotateBody,
    query=Query,
    response=IssuedKeyInfo,
    errors=(KeyNotFound, KeyEnded, QuotaExceeded),
    command=True,
)
REVOKE_KEY = Operation(
    method="DELETE",
    path=KEYS + "/{key_id}",
    name="revokeKey",
    summary="Revoke an API key",
    description="The service rejects the key within one second.",
    roles=CAN_ISSUE_KEYS,
    query=RevokeQuery,
    response=Revoked,
    errors=(KeyNotFound,),
    command=True,
    unmetered=True,
)
OPERATIONS = (ISSUE_KEY, LIST_KEYS, GET_OWN_KEY, ROTATE_KEY, REVOKE_KEY)
