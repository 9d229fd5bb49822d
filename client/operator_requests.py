"""Requests about keys, tenants, quotas and message bodies; ``requests`` contains them as well."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from quorate.client.request_builder import Request, request_for
from quorate.contracts.coordination.consensus import END_CONSENSUS, ConsensusInfo
from quorate.contracts.coordination.leases import END_LEASE, LeaseInfo
from quorate.contracts.event_log import LIST_CONTENTS, ContentsInfo, ContentsQuery
from quorate.contracts.explanations import EXPLAIN, ExplanationInfo
from quorate.contracts.identity.agents import DEACTIVATE_AGENT, AgentInfo
from quorate.contracts.identity.api_keys import (
    GET_OWN_KEY,
    ISSUE_KEY,
    LIST_KEYS,
    REVOKE_KEY,
    ROTATE_KEY,
    IssuedKeyInfo,
    KeyBody,
    KeyInfo,
    Revoked,
    RevokeQuery,
    RotateBody,
)
from quorate.contracts.identity.quotas import GET_QUOTAS, QuotasInfo, QuotasQuery
from quorate.contracts.identity.tenants import (
    CREATE_TENANT,
    GET_TENANT,
    LIST_TENANTS,
    PAUSE_TENANT,
    RESUME_TENANT,
    SET_TENANT_LIMITS,
    SUSPEND_TENANT,
    UNPAUSE_TENANT,
    TenantBody,
    TenantInfo,
)
from quorate.contracts.mail.domains import GET_MAIL_DOMAIN, SET_MAIL_DOMAIN, MailDomainInfo
from quorate.contracts.wire_models import (
    PAGE_LENGTH_DEFAULT,
    PageQuery,
    ReasonQuery,
    ReasonRequest,
    unchecked,
)
from quorate.domain.identity.principals import Role


def issue_key(
    role: Role,
    agent_name: str | None = None,
    tenant_id: str | None = None,
    *,
    expires_in_seconds: int | None = None,
    preset: str | None = None,
) -> Request[IssuedKeyInfo]:
    """Issue an API key. Only this response contains the full key.

    ``preset`` is for a key of an agent: its tools obey the policy of this preset.
    """
    body = unchecked(KeyBody)(
        tenant_id=tenant_id,
        role=role,
        agent_name=agent_name,
        expires_in_seconds=expires_in_seconds,
        preset=preset,
    )
    return request_for(ISSUE_KEY, body)


def rotate_key(
    key_id: str, *, overlap_seconds: int = 0, expires_in_seconds: int | None = None
) -> Request[IssuedKeyInfo]:
    """Issue a key like this one, which is revoked at once or expires after the overlap.

    Only this response contains the full key.
    """
    body = unchecked(RotateBody)(
        overlap_seconds=overlap_seconds, expires_in_seconds=expires_in_seconds
    )
    return request_for(ROTATE_KEY, body, key_id=key_id)


def list_keys(
    *,
    tenant_id: str | None = None,
    after: str | None = None,
    limit: int = PAGE_LENGTH_DEFAULT,
) -> Request[list[KeyInfo]]:
    query = unchecked(PageQuery)(tenant_id=tenant_id, after=after, limit=limit)
    return request_for(LIST_KEYS, query=query)


def revoke_key(
    key_id: str, *, end_agent: bool = False, reason: str | None = None
) -> Request[Revoked]:
    """Revoke a key. With ``end_agent``, deregister its agent unless the agent has another key."""
    given: dict[str, Any] = {"end_agent": end_agent or None, "reason": reason}
    given = {name: value for name, value in given.items() if value is not None}
    query = unchecked(RevokeQuery)(**given) if given else None
    return request_for(REVOKE_KEY, query=query, key_id=key_id)


def get_own_key() -> Request[KeyInfo]:
    """Get the key of the caller: its tenant, role and agent."""
    return request_for(GET_OWN_KEY)


def create_tenant(tenant_id: str) -> Request[TenantInfo]:
    return request_for(CREATE_TENANT, unchecked(TenantBody)(tenant_id=tenant_id))


def list_tenants(
    *, after: str | None = None, limit: int = PAGE_LENGTH_DEFAULT
) -> Request[list[TenantInfo]]:
    return request_for(LIST_TENANTS, query=unchecked(PageQuery)(after=after, limit=limit))


def get_tenant(tenant_id: str) -> Request[TenantInfo]:
    return request_for(GET_TENANT, tenant_id=tenant_id)


def _why(reason: str | None) -> ReasonQuery | None:
    return None if reason is None else unchecked(ReasonQuery)(reason=reason)


def suspend_tenant(tenant_id: str, *, reason: str | None = None) -> Request[TenantInfo]:
    """Suspend a tenant: its keys are rejected until it is resumed."""
    return request_for(SUSPEND_TENANT, query=_why(reason), tenant_id=tenant_id)


def resume_tenant(tenant_id: str, *, reason: str | None = None) -> Request[TenantInfo]:
    return request_for(RESUME_TENANT, query=_why(reason), tenant_id=tenant_id)


def pause_tenant(tenant_id: str, reason: str) -> Request[TenantInfo]:
    """Pause a tenant: its keys read, and their commands are rejected."""
    return request_for(PAUSE_TENANT, unchecked(ReasonRequest)(reason=reason), tenant_id=tenant_id)


def unpause_tenant(tenant_id: str, reason: str) -> Request[TenantInfo]:
    return request_for(UNPAUSE_TENANT, unchecked(ReasonRequest)(reason=reason), tenant_id=tenant_id)


def set_tenant_limits(tenant_id: str, limits: Mapping[str, int]) -> Request[TenantInfo]:
    """Replace the limits of a tenant, for example ``{"events_per_day": 500}``; 0 is no limit."""
    body = {to_camel(name): limit for name, limit in limits.items()}
    return request_for(SET_TENANT_LIMITS, body, tenant_id=tenant_id)


def get_mail_domain(tenant_id: str) -> Request[MailDomainInfo]:
    return request_for(GET_MAIL_DOMAIN, tenant_id=tenant_id)


def set_mail_domain(tenant_id: str, mail_domain: str | None) -> Request[MailDomainInfo]:
    """Set the mail domain of a tenant; None stands for its default domain."""
    return request_for(SET_MAIL_DOMAIN, {"mailDomain": mail_domain}, tenant_id=tenant_id)


def get_quotas(agent_id: str | None = None) -> Request[QuotasInfo]:
    """Get the quotas of the tenant, and those of one agent: by default that of an agent key."""
    return request_for(GET_QUOTAS, query=unchecked(QuotasQuery)(agent_id=agent_id))


# -- Message bodies ----------


def list_contents(
    *,
    after: int = 0,
    limit: int = PAGE_LENGTH_DEFAULT,
    log_id: str | None = None,
    ids: Sequence[str] | None = None,
) -> Request[ContentsInfo]:
    """List the message bodies to which the events after the sequence ``after`` refer.

    With ``ids``, those of these messages instead; ``next`` is then how many ids were answered.
    """
    joined = None if ids is None else ",".join(ids)
    query = unchecked(ContentsQuery)(after=after, limit=limit, log_id=log_id, ids=joined)
    return request_for(LIST_CONTENTS, query=query)


# -- Operator actions and explanations ----------


def end_lease(lease_id: str, reason: str, *, tenant_id: str | None = None) -> Request[LeaseInfo]:
    """End a lease as an operator. An admin key names the tenant."""
    body = unchecked(ReasonRequest)(reason=reason, tenant_id=tenant_id)
    return request_for(END_LEASE, body, lease_id=lease_id)


def end_consensus(
    consensus_id: str, reason: str, *, tenant_id: str | None = None
) -> Request[ConsensusInfo]:
    """Cancel a proposal of any agent as an operator. An admin key names the tenant."""
    body = unchecked(ReasonRequest)(reason=reason, tenant_id=tenant_id)
    return request_for(END_CONSENSUS, body, consensus_id=consensus_id)


def deactivate_agent(
    agent_id: str, reason: str, *, tenant_id: str | None = None
) -> Request[AgentInfo]:
    """Mark an agent inactive as an operator; its next heartbeat makes it active again."""
    body = unchecked(ReasonRequest)(reason=reason, tenant_id=tenant_id)
    return request_for(DEACTIVATE_AGENT, body, agent_id=agent_id)


def explain(id_: str) -> Request[ExplanationInfo]:
    """Explain a decision, a refusal or an event: by its id, its sequence, or a problem code."""
    return request_for(EXPLAIN, id=id_)
