"""Issue, list and revoke API keys. The key secret is shown once; a revocation is final."""

import secrets

import orjson

from quorate.application.execution import Service, replay_headers
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import KeyBody, PageQuery, Query
from quorate.contracts.responses import (
    IssuedKeyResponse,
    KeyResponse,
    RevokedResponse,
    dump,
    key_response,
)
from quorate.contracts.roles import ALL_ROLES, CAN_ISSUE_KEYS
from quorate.domain.identity.api_keys import IssueKey, Key, RevokeKey
from quorate.domain.identity.key_format import SECRET_BITS, key_text, read_key, secret_hash
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.shared.records import record
from quorate.eventlog.ids import key_id

KEYS = "/v1/keys"


@record
class NewKey:
    """A key before it is issued: its id, the full key, and the hash that is stored."""

    id: str
    full_key: str
    secret_hash: str


def new_key() -> NewKey:
    new_id = key_id()
    full_key = key_text(new_id, secrets.token_bytes(SECRET_BITS // 8))
    parts = read_key(full_key)
    assert parts is not None
    return NewKey(id=new_id, full_key=full_key, secret_hash=secret_hash(parts[1]))


async def issue(service: Service, call: Call) -> Reply:
    body: KeyBody = call.body
    principal: Principal = call.principal
    if (body.role == "agent") != (body.agent_name is not None):
        raise Problem("invalid_request", "agentName: goes with role agent, and only with it")
    tenant = _tenant_of(principal, body)
    issued = new_key()
    command = IssueKey(
        caller=principal,
        key_id=issued.id,
        role=body.role,
        secret_hash=issued.secret_hash,
        agent_name=body.agent_name,
        new_agent_id=f"agent_{service.id()}",
    )

    def render(key: Key) -> bytes:
        return dump(key_response(tenant, key))

    accepted = await service.submit(call, command, render, tenant)
    response = orjson.loads(accepted.body) | {"key": None if accepted.replayed else issued.full_key}
    sequence = _sequence_for(principal, accepted.sequence)
    return Reply(body=dump(response), sequence=sequence, headers=replay_headers(accepted))


def _tenant_of(principal: Principal, body: KeyBody) -> str:
    if principal.role != "admin":
        return principal.tenant
    if body.role == "admin":
        return OPERATORS
    if body.tenant_id is None:
        raise Problem("invalid_request", "tenantId: Field required")
    return body.tenant_id


def _sequence_for(principal: Principal, sequence: int) -> int | None:
    """Return None for an admin key: it belongs to no tenant, so its caller awaits no log head."""
    return None if principal.role == "admin" else sequence


async def revoke(service: Service, call: Call) -> Reply:
    principal: Principal = call.principal
    row = await service.reader.key(call.path["key_id"])
    if row is None or (principal.role != "admin" and row.tenant != principal.tenant):
        raise Problem("key_not_found", "API key not found.")
    command = RevokeKey(caller=principal, key_id=row.key.id)
    reply = await service.execute(call, command, _render_revoked, tenant=row.tenant)
    service.key_cache.invalidate()
    return reply


def _render_revoked(_: Key) -> bytes:
    return dump(RevokedResponse(revoked=True))


async def list_keys(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    tenant = call.principal.tenant
    if call.principal.role == "admin" and query.tenant_id is not None:
        tenant = query.tenant_id
    result = await service.reader.keys(tenant, query.after or "", query.limit)
    response = [key_response(tenant, key) for key in result.found]
    links = next_link(KEYS, query, [key.id for key in result.found])
    return Reply(body=dump(response), sequence=result.sequence, headers=links)


async def get_own(service: Service, call: Call) -> Reply:
    """Return the key without a sequence: an admin key has no tenant log, and keys rarely change."""
    row = await service.reader.key(call.principal.key_id)
    assert row is not None, "keys are revoked and never deleted"
    return Reply(body=dump(key_response(row.tenant, row.key)))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=KEYS,
        name="issueKey",
        summary="Issue an API key",
        description="Only this response contains the full key.",
        roles=CAN_ISSUE_KEYS,
        body=KeyBody,
        query=Query,
        response=IssuedKeyResponse,
        problems=("quota_exceeded", "tenant_not_found"),
        command=True,
        handler=issue,
    ),
    Endpoint(
        method="GET",
        path=KEYS,
        name="listKeys",
        summary="List API keys",
        description="The list does not contain key secrets.",
        roles=CAN_ISSUE_KEYS,
        query=PageQuery,
        response=list[KeyResponse],
        handler=list_keys,
    ),
    Endpoint(
        method="GET",
        path=KEYS + "/self",
        name="getOwnKey",
        summary="Get the API key of this request",
        description="The response names the key's tenant, role and agent.",
        roles=ALL_ROLES,
        query=Query,
        response=KeyResponse,
        of_key=True,
        handler=get_own,
    ),
    Endpoint(
        method="DELETE",
        path=KEYS + "/{key_id}",
        name="revokeKey",
        summary="Revoke an API key",
        description="The service rejects the key within one second.",
        roles=CAN_ISSUE_KEYS,
        query=Query,
        response=RevokedResponse,
        problems=("key_not_found",),
        command=True,
        handler=revoke,
    ),
)
