"""The fast lane and FastAPI give the same responses: status, headers and bytes.

Two new services get the same requests, one of them without the fast lane. Ids, times and generated
request ids are replaced before the comparison.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from quorate.api.fast_lane import FastLane
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.contracts.registry import OPERATIONS
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process
from tests.support.request_counts import count_outcomes

LEASE = "/v1/agent/coordination/lease"
HEARTBEAT = "/v1/agent/coordination/heartbeat"
SEND = "/v1/agent/request-send"
CONSENSUS = "/v1/agent/coordination/consensus"
JSON = "application/json"
Headers: TypeAlias = Sequence[tuple[str, str]]


class Case(NamedTuple):
    """A request. Names such as ``{lease}`` stand for ids of earlier responses."""

    method: str
    path: str
    body: bytes | None = None
    headers: Headers = ()
    key: str | None = "tenant"  # The name of a key, or None for no key.
    media: str | None = JSON
    chunks: int = 1
    save: str = ""  # The name under which later cases use the id of the response.


def acquire(body: str, **options: object) -> Case:
    return Case("POST", LEASE, body.encode(), **options)  # type: ignore[arg-type]


ANN = '{"agentName":"ann","contactEmail":"u@example.com"}'
BOB = '{"agentName":"bob","contactEmail":"u@example.com"}'
VOTE = b'{"agentName":"bob","vote":"approve"}'

CASES: Mapping[str, Case] = {
    # Success and rejections by the domain.
    "register ann": Case("POST", "/v1/agent/register", b'{"agentName":"ann"}', save="ann"),
    "register bob": Case("POST", "/v1/agent/register", b'{"agentName":"bob"}', save="bob"),
    "heartbeat": Case("POST", HEARTBEAT, b'{"agentName":"ann"}'),
    "heartbeat by id": Case("POST", HEARTBEAT, b'{"agentId":"{ann}"}'),
    "heartbeat of an unknown agent": Case("POST", HEARTBEAT, b'{"agentName":"zoe"}'),
    "heartbeat with an agent key": Case("POST", HEARTBEAT, b"{}", key="agent"),
    "heartbeat of another agent": Case("POST", HEARTBEAT, b'{"agentName":"bob"}', key="agent"),
    "acquire": acquire(ANN, save="lease"),
    "acquire again": acquire(ANN),
    "acquire a held contact": acquire(BOB),
    "acquire with defaults": acquire('{"agentName":"ann","contactEmail":"v@example.com"}'),
    "acquire with a tenant": acquire(ANN[:-1] + ',"tenantId":"default"}'),
    "acquire an ambiguous contact": acquire('{"agentName":"ann","contactEmail":"invalid"}'),
    "renew": Case("POST", LEASE + "/{lease}/renew", b'{"durationMinutes":60}'),
    "renew an unknown lease": Case("POST", LEASE + "/none/renew", b"{}"),
    "renew with an unprintable id": Case("POST", LEASE + "/%00/renew", b"{}"),
    "renew with a long id": Case("POST", f"{LEASE}/{'a' * 65}/renew", b"{}"),
    "renew with a slash": Case("POST", LEASE + "/a/b/renew", b"{}"),
    "send": Case("POST", SEND, ANN.encode()),
    "send while another holds": Case("POST", SEND, BOB.encode()),
    "send with a stale fence": Case("POST", SEND, ANN[:-1].encode() + b',"fence":1}'),
    "propose": Case(
        "POST",
        CONSENSUS,
        b'{"proposerAgent":"ann","action":"a","contactEmail":"c@example.com","reason":"r"}',
        save="proposal",
    ),
    "vote": Case("POST", CONSENSUS + "/{proposal}/vote", VOTE),
    "vote again": Case("POST", CONSENSUS + "/{proposal}/vote", VOTE),
    "change a vote": Case(
        "POST", CONSENSUS + "/{proposal}/vote", b'{"agentName":"bob","vote":"reject"}'
    ),
    "vote on nothing": Case("POST", CONSENSUS + "/none/vote", VOTE),
    "vote without a choice": Case("POST", CONSENSUS + "/{proposal}/vote", b'{"agentName":"bob"}'),
    "release": Case("DELETE", LEASE + "/{lease}"),
    "release again": Case("DELETE", LEASE + "/{lease}"),
    "release an unknown lease": Case("DELETE", LEASE + "/none"),
    "renew a released lease": Case("POST", LEASE + "/{lease}/renew", b"{}"),
    # Idempotency keys.
    "keyed": acquire(ANN, headers=[("Idempotency-Key", "one")]),
    "keyed replay": acquire(ANN, headers=[("Idempotency-Key", "one")]),
    "keyed replay with white space": acquire(f" {ANN} ", headers=[("Idempotency-Key", "one")]),
    "keyed reuse": acquire(BOB, headers=[("Idempotency-Key", "one")]),
    "keyed rejection": acquire(BOB, headers=[("Idempotency-Key", "two")]),
    "keyed rejection replay": acquire(BOB, headers=[("Idempotency-Key", "two")]),
    "key is empty": acquire(ANN, headers=[("Idempotency-Key", "")]),
    "key is long": acquire(ANN, headers=[("Idempotency-Key", "a" * 256)]),
    "key is not ASCII": acquire(ANN, headers=[("Idempotency-Key", "\xe9")]),
    "key is sent twice": acquire(ANN, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")]),
    # Callers.
    "no key": acquire(ANN, key=None),
    "no key and malformed": acquire("{", key=None),
    "unknown key": acquire(ANN, key=None, headers=[("Authorization", "Bearer qk_none")]),
    "basic credentials": acquire(ANN, key=None, headers=[("Authorization", "Basic YTpi")]),
    "two credentials": acquire(ANN, headers=[("Authorization", "Bearer qk_none")]),
    "auditor": acquire(ANN, key="auditor"),
    "auditor and malformed": acquire("{", key="auditor"),
    "admin": acquire(ANN, key="admin"),
    "release as auditor": Case("DELETE", LEASE + "/{lease}", key="auditor"),
    # Tenants.
    "another tenant in the body": acquire(ANN[:-1] + ',"tenantId":"other"}'),
    "another tenant in the query": Case("POST", LEASE + "?tenantId=other", ANN.encode()),
    "two tenants": Case(
        "POST", LEASE + "?tenantId=other", ANN[:-1].encode() + b',"tenantId":"default"}'
    ),
    "own tenant twice": Case(
        "POST", LEASE + "?tenantId=default", ANN[:-1].encode() + b',"tenantId":"default"}'
    ),
    # Bodies.
    "empty body": acquire(""),
    "empty object": acquire("{}"),
    "list": acquire("[]"),
    "null": acquire("null"),
    "not JSON": acquire("{"),
    "trailing data": acquire(ANN + "x"),
    "not UTF-8": Case("POST", LEASE, b'{"agentName":"\xff"}'),
    "duplicate key": acquire('{"agentName":"ann","agentName":"bob"}'),
    "NaN": acquire(ANN[:-1] + ',"durationMinutes":NaN}'),
    "huge integer": acquire(ANN[:-1] + ',"durationMinutes":' + "9" * 200 + "}"),
    "NUL": acquire('{"agentName":"a\\u0000","contactEmail":"u@example.com"}'),
    "unpaired surrogate": acquire('{"agentName":"\\ud800","contactEmail":"u@example.com"}'),
    "deep nesting": acquire('{"a":' + "[" * 5_000 + "]" * 5_000 + "}"),
    "unknown field": acquire(ANN[:-1] + ',"fence_":1}'),
    "many unknown fields": acquire(
        ANN[:-1] + "".join(f',"x{number}":1' for number in range(20)) + "}"
    ),
    "snake case": acquire('{"agent_name":"ann","contact_email":"u@example.com"}'),
    "wrong types": acquire('{"agentName":1,"contactEmail":[],"durationMinutes":"5"}'),
    "null field": acquire('{"agentName":null,"contactEmail":null}'),
    "out of range": acquire(ANN[:-1] + ',"durationMinutes":0}'),
    "boolean as number": acquire(ANN[:-1] + ',"durationMinutes":true}'),
    "in chunks": acquire(ANN, chunks=5),
    "too large": acquire('{"agentName":"' + "a" * BODY_BYTES_MAX + '"}'),
    "too large in chunks": acquire("{" + " " * BODY_BYTES_MAX + "}", chunks=3),
    "length is not a number": acquire(ANN, headers=[("Content-Length", "x")]),
    "heartbeat with a body field too much": Case("POST", HEARTBEAT, b'{"agentName":"ann","x":1}'),
    "release with a body": Case("DELETE", LEASE + "/{lease}", b"not read"),
    # Media types.
    "no media type": acquire(ANN, media=None),
    "text": acquire(ANN, media="text/plain"),
    "media type with parameters": acquire(ANN, media="Application/JSON; charset=utf-8"),
    "media type with a suffix": acquire(ANN, media="application/merge-patch+json"),
    "two media types": acquire(ANN, media="text/plain", headers=[("Content-Type", JSON)]),
    "odd media type": acquire(ANN, media='application/json; x="\xe9"; y'),
    "compressed": acquire(ANN, headers=[("Content-Encoding", "gzip")]),
    # Queries.
    "unknown parameter": Case("POST", LEASE + "?limit=1", ANN.encode()),
    "repeated parameter": Case("POST", LEASE + "?tenantId=default&tenantId=default", ANN.encode()),
    "malformed query": Case("POST", LEASE + "?tenantId", ANN.encode()),
    "query is not UTF-8": Case("POST", LEASE + "?tenantId=%ff", ANN.encode()),
    "NUL in the query": Case("POST", LEASE + "?tenantId=%00", ANN.encode()),
    "empty parameter": Case("POST", LEASE + "?tenantId=", ANN.encode()),
    "body and query are invalid": Case("POST", LEASE + "?limit=1", b'{"agentName":1}'),
    "query of a release": Case("DELETE", LEASE + "/{lease}?tenantId=other"),
    # Methods, paths and headers.
    "HEAD": Case("HEAD", LEASE, key=None),
    "OPTIONS": Case("OPTIONS", LEASE, key=None),
    "PUT": Case("PUT", LEASE, ANN.encode()),
    "GET of a lease": Case("GET", LEASE + "/{lease}"),
    "HEAD of a lease": Case("HEAD", LEASE + "/{lease}"),
    "PATCH of a lease": Case("PATCH", LEASE + "/{lease}"),
    "GET of renew": Case("GET", LEASE + "/{lease}/renew"),
    "fixed path with an id as method": Case("DELETE", "/v1/keys/self"),
    "slash at the end": Case("POST", LEASE + "/", ANN.encode()),
    "line feed at the end": Case("POST", LEASE + "%0a", ANN.encode()),
    "double slash": Case("POST", "/" + LEASE, ANN.encode()),
    "upper case": Case("POST", LEASE.upper(), ANN.encode()),
    "unknown path": Case("GET", "/v1/none"),
    "own request id": acquire(ANN, headers=[("X-Request-Id", "mine")]),
    "unsafe request id": acquire(ANN, headers=[("X-Request-Id", "a b")]),
    "trace": acquire(ANN, headers=[("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")]),
}
_VOLATILE = [
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), b"<id>"),
    (re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), b"<time>"),
    (re.compile(rb"\b[0-9a-f]{8}-[0-9a-f]{1,6}\b"), b"<request id>"),
]


async def create_keys(service: InProcess) -> dict[str, str]:
    await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
    roles = ({"role": "agent", "agentName": "ann"}, {"role": "auditor"})
    issued = [(await service.call("POST", "/v1/keys", body)).json["key"] for body in roles]
    names = ("tenant", "admin", "agent", "auditor")
    return dict(zip(names, (service.key, service.credentials["adminKey"], *issued), strict=True))


def build(case: Case, ids: Mapping[str, str], keys: Mapping[str, str]) -> AsgiRequest:
    path, body = case.path, case.body
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
        body = None if body is None else body.replace(f"{{{name}}}".encode(), value.encode())
    headers = [] if case.key is None else [("Authorization", f"Bearer {keys[case.key]}")]
    if body is not None and case.media is not None:
        headers.append(("Content-Type", case.media))
    if body is not None and case.chunks == 1:
        headers.append(("Content-Length", str(len(body))))
    size = max(1, -(-len(body or b"") // case.chunks))
    chunks = [(body or b"")[at : at + size] for at in range(0, len(body or b"x"), size)]
    return AsgiRequest(
        method=case.method, path=path, headers=[*headers, *case.headers], chunks=chunks
    )


def comparable(response: AsgiResponse) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    """Return a response without values that differ from service to service."""
    headers = [
        (name, without_volatile(value))
        for name, value in response.headers
        if name != b"content-length"  # The length of a request id varies.
    ]
    return response.status, headers, without_volatile(response.body)


def without_volatile(value: bytes) -> bytes:
    for pattern, replacement in _VOLATILE:
        value = pattern.sub(replacement, value)
    return value


async def responses(service: InProcess) -> dict[str, AsgiResponse]:
    keys, ids, found = await create_keys(service), dict[str, str](), dict[str, AsgiResponse]()
    for name, case in CASES.items():
        response = await service.ask(build(case, ids, keys))
        length = dict(response.headers).get(b"content-length")
        assert length is None or int(length) == len(response.body)
        if case.save:
            ids[case.save] = response.json["id"]
        found[name] = response
    return found


async def test_both_paths_give_the_same_responses(tmp_path: Path) -> None:
    async with (
        run_in_process(tmp_path / "with") as fast,
        run_in_process(tmp_path / "without", fast_lane=False) as slow,
    ):
        by_lane, by_fastapi = await responses(fast), await responses(slow)

    statuses = {response.status for response in by_lane.values()}
    assert statuses >= {200, 400, 401, 403, 404, 405, 409, 413, 415, 422}
    for name in CASES:
        assert comparable(by_lane[name]) == comparable(by_fastapi[name]), name


async def test_lane_serves_exactly_the_hot_operations(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        assert isinstance(service.app, FastLane)
        served = {operation.name for operation in service.app.operations}

    assert served == {operation.name for operation in OPERATIONS if operation.hot}


@pytest.mark.parametrize("fast_lane", [True, False], ids=["fast lane", "FastAPI"])
async def test_each_request_is_counted_once(tmp_path: Path, fast_lane: bool) -> None:
    async with run_in_process(tmp_path / "data", fast_lane=fast_lane) as service:
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        for email in ("u@example.com", 1):
            await service.call("POST", LEASE, {"agentName": "ann", "contactEmail": email})
        await service.get("/none")
        metrics = service.running.service.request_metrics

    assert count_outcomes(metrics, "acquireLease") == {"ok": 1, "invalid_request": 1}
    assert count_outcomes(metrics, "none") == {"not_found": 1}
