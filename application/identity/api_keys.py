"""Issue, list, rotate and revoke API keys. The key secret is shown once; a revocation is final."""

import secrets

import orjson

from quorate.application.execution import Service, replay_headers
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import dump, renderer
from quorate.contracts.identity.api_keys import (
    GET_OWN_KEY,
    ISSUE_KEY,
    LIST_KEYS,
    REVOKE_KEY,
    ROTATE_KEY,
    KeyBody,
    KeyInfo,
    Revoked,
    RevokeQuery,
    RotateBody,
)
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import PageQuery
from quorate.domain.identity.api_keys import (
    IssueKey,
    Key,
    KeyNotFound,
    RevokeKey,
    RevokeKeyAndEndAgent,
    RotateKey,
)
from quorate.domain.identity.key_format import SECRET_BITS, key_text, read_key, secret_hash
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.shared.records import record
from quorate.eventlog.ids import key_id
from quorate.projections.queries import KeyRow

render_key = renderer(KeyInfo, Key)
_REVOKED = dump(Revoked().raw)
_ENDED = {ended: dump(Revoked(agent_ended=ended).raw) for ended in (True, False)}


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


@handles(ISSUE_KEY)
async def issue(service: Service, call: Call) -> Reply:
    body: KeyBody = call.body
    principal: Principal = call.principal
    if (body.role == "agent") != (body.agent_name is not None):
        raise Problem("invalid_request", "agentName: goes with role agent, and only with it")
    if body.preset is not None and body.role != "agent":
        raise Problem("invalid_request", "preset: goes with role agent, and only with it")
    tenant = _tenant_of(principal, body)
    if body.preset is not None:
        await service.sessions.check_preset(tenant, body.preset)
    issued = new_key()
    command = IssueKey(
        caller=principal,
        key_id=issued.id,
        role=body.role,
        secret_hash=issued.secret_hash,
        agent_name=body.agent_name,
        new_agent_id=f"agent_{service.id()}",
        expires_in_seconds=body.expires_in_seconds,
        preset=body.preset,
    )
    return await _reply_with_key(service, call, command, tenant, issued)


async def _reply_with_key(
    service: Service, call: Call, command: IssueKey | RotateKey, tenant: str, issued: NewKey
) -> Reply:
    def render(key: Key) -> bytes:
        return dump(render_key(key, tenant_id=tenant))

    accepted = await service.submit(call, command, render, tenant)
    response = orjson.loads(accepted.body) | {"key": None if accepted.replayed else issued.full_key}
    sequence = _sequence_for(call.principal, accepted.sequence)
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


@handles(ROTATE_KEY)
async def rotate(service: Service, call: Call) -> Reply:
    body: RotateBody = call.body
    row = await _find_key(service, call)
    issued = new_key()
    command = RotateKey(
        caller=call.principal,
        key_id=row.key.id,
        agent_id=row.key.agent_id,
        new_key_id=issued.id,
        secret_hash=issued.secret_hash,
        overlap_seconds=body.overlap_seconds,
        expires_in_seconds=body.expires_in_seconds,
    )
    reply = await _reply_with_key(service, call, command, row.tenant, issued)
    service.key_cache.invalidate()
    return reply


async def _find_key(service: Service, call: Call) -> KeyRow:
    """Return the key of the path; raise KeyNotFound for one of another tenant too."""
    principal: Principal = call.principal
    row = await service.reader.key(call.path["key_id"])
    if row is None or (principal.role != "admin" and row.tenant != principal.tenant):
        raise KeyNotFound
    return row


@handles(REVOKE_KEY)
async def revoke(service: Service, call: Call) -> Reply:
    principal: Principal = call.principal
    row = await _find_key(service, call)
    query: RevokeQuery = call.query
    if query.end_agent and row.key.agent_id is not None:
        ending = RevokeKeyAndEndAgent(
            caller=principal,
            key_id=row.key.id,
            agent_id=row.key.agent_id,
            detail=query.reason,
        )
        reply = await service.execute(call, ending, _ENDED.__getitem__, tenant=row.tenant)
    else:
        command = RevokeKey(caller=principal, key_id=row.key.id, detail=query.reason)
        reply = await service.execute(call, command, lambda _: _REVOKED, tenant=row.tenant)
    service.key_cache.invalidate()
    return reply


@handles(LIST_KEYS)
async def list_keys(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    tenant = call.principal.tenant
    if call.principal.role == "admin" and query.tenant_id is not None:
        tenant = query.tenant_id
    return await list_reply(
        service,
        call,
        LIST_KEYS.path,
        lambda after, limit, size: service.reader.keys(tenant, after, limit, size),
        render=lambda key, _: render_key(key, tenant_id=tenant),
        cursor=lambda key: key.id,
    )


@handles(GET_OWN_KEY)
async def get_own(service: Service, call: Call) -> Reply:
    """Return the key without a sequence: an admin key has no tenant log, and keys rarely change."""
    row = await service.reader.key(call.principal.key_id)
    assert row is not None, "keys are revoked and never deleted"
    return Reply(body=dump(render_key(row.key, tenant_id=row.tenant)))
