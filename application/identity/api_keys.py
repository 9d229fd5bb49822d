"""API keys: issued once, shown once, revoked for good."""

import secrets

import orjson

from quorate.application.execution import Service, replay_headers
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import KeyBody, PageQuery, Query
from quorate.contracts.responses import IssuedKeyAnswer, KeyAnswer, RevokedAnswer, dump, key_answer
from quorate.contracts.roles import ANYBODY, ISSUING
from quorate.domain.identity.api_keys import (
    SECRET_BITS,
    IssueKey,
    Key,
    Principal,
    RevokeKey,
    key_text,
    read_key,
    secret_hash,
)
from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.shared.records import record
from quorate.eventlog.ids import key_id

KEYS = "/v1/keys"


@record
class NewKey:
    """A key before it is issued: its id, its text and what is stored of it."""

    id: str
    text: str
    secret_hash: str


def new_key() -> NewKey:
    fresh_id = key_id()
    text = key_text(fresh_id, secrets.token_bytes(SECRET_BITS // 8))
    parts = read_key(text)
    assert parts is not None
    return NewKey(id=fresh_id, text=text, secret_hash=secret_hash(parts[1]))


async def issue(service: Service, call: Call) -> Reply:
    body: KeyBody = call.body
    principal: Principal = call.principal
    if (body.role == "agent") != (body.agent_name is not None):
        raise Problem("invalid_request", "agentName: goes with role agent, and only with it")
    tenant = _tenant_of(principal, body)
    fresh = new_key()
    command = IssueKey(
        caller=principal,
        key_id=fresh.id,
        role=body.role,
        secret_hash=fresh.secret_hash,
        agent_name=body.agent_name,
        new_agent_id=f"agent_{service.id()}",
    )

    def render(key: Key) -> bytes:
        return dump(key_answer(tenant, key))

    done = await service.submit(call, command, render, tenant)
    answer = orjson.loads(done.body) | {"key": None if done.replayed else fresh.text}
    sequence = _sequence_for(principal, done.sequence)
    return Reply(body=dump(answer), sequence=sequence, headers=replay_headers(done))


def _tenant_of(principal: Principal, body: KeyBody) -> str:
    if principal.role != "admin":
        return principal.tenant
    if body.role == "admin":
        return OPERATORS
    if body.tenant_id is None:
        raise Problem("invalid_request", "tenantId: Field required")
    return body.tenant_id


def _sequence_for(principal: Principal, sequence: int) -> int | None:
    """An operator's call has no log of its own to wait for."""
    return None if principal.role == "admin" else sequence


async def revoke(service: Service, call: Call) -> Reply:
    principal: Principal = call.principal
    row = await service.reader.key(call.path["key_id"])
    if row is None or (principal.role != "admin" and row.tenant != principal.tenant):
        raise Problem("key_not_found", "No such key.")
    command = RevokeKey(caller=principal, key_id=row.key.id)
    reply = await service.carry_out(call, command, _render_revoked, tenant=row.tenant)
    service.keyring.forget()
    return reply


def _render_revoked(_: Key) -> bytes:
    return dump(RevokedAnswer(revoked=True))


async def list_keys(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    tenant = call.principal.tenant
    if call.principal.role == "admin" and query.tenant_id is not None:
        tenant = query.tenant_id
    seen = await service.reader.keys(tenant, query.after or "", query.limit)
    answer = [key_answer(tenant, key) for key in seen.found]
    links = next_link(KEYS, query, [key.id for key in seen.found])
    return Reply(body=dump(answer), sequence=seen.sequence, headers=links)


async def get_own(service: Service, call: Call) -> Reply:
    """Without its place in a log: an operator's key is of none, and a key hardly ever changes."""
    row = await service.reader.key(call.principal.key_id)
    assert row is not None, "keys are revoked and never deleted"
    return Reply(body=dump(key_answer(row.tenant, row.key)))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=KEYS,
        name="issueKey",
        summary="Issue a key; its text is shown this once",
        roles=ISSUING,
        body=KeyBody,
        query=Query,
        answer=IssuedKeyAnswer,
        problems=("quota_exceeded", "tenant_not_found"),
        command=True,
        handler=issue,
    ),
    Endpoint(
        method="GET",
        path=KEYS,
        name="listKeys",
        summary="List keys, without their secrets",
        roles=ISSUING,
        query=PageQuery,
        answer=list[KeyAnswer],
        handler=list_keys,
    ),
    Endpoint(
        method="GET",
        path=KEYS + "/self",
        name="getOwnKey",
        summary="Look at the key that you show: whose it is, and what it may do",
        roles=ANYBODY,
        query=Query,
        answer=KeyAnswer,
        of_key=True,
        handler=get_own,
    ),
    Endpoint(
        method="DELETE",
        path=KEYS + "/{key_id}",
        name="revokeKey",
        summary="Revoke a key; it stops working within a second",
        roles=ISSUING,
        query=Query,
        answer=RevokedAnswer,
        problems=("key_not_found",),
        command=True,
        handler=revoke,
    ),
)
