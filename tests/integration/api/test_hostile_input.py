"""Hostile bodies and queries get a 4xx response quickly, and no event is recorded.

Every test runs four ways: with and without the fast lane, on the hardened HTTP protocol and on
plain uvicorn. A test whose result depends on the way uses the fixture ``way``. Limits that only the
hardened protocol has are in ``test_slow_clients.py`` and ``test_early_responses.py``.
"""

import gzip
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.contracts.examples import BODIES
from quorate.contracts.identity.agent_settings import ConfigBody
from quorate.contracts.operations import BODY_BYTES_MAX, AnyOperation
from tests.integration.api.raw_clients import (
    RawConnection,
    RawResponse,
    RunningService,
    encoded,
    head,
)
from tests.integration.api.ways import WAYS, Way

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
CONSENSUS = "/v1/agent/coordination/consensus"
AGENT = "outreach-agent"
LONG_TEXTS = {("answerTask", "text")}  # 60,000 characters are allowed; the task does not exist.
RESPONSE_SECONDS_MAX = 2.0  # Less than quadratic parsing takes, and enough on a busy machine.

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
STRICT = [endpoint for endpoint in WITH_BODY if endpoint.body is not ConfigBody]


@pytest.fixture(scope="module", params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def service(way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with way.run(tmp_path_factory.mktemp("service")) as service:
        assert service.request("POST", "/v1/agent/register", {"agentName": AGENT}).status == 200
        yield service


def send_body(
    service: RunningService, body: bytes, path: str = LEASE, **headers: str
) -> RawResponse:
    """Send a body; assert a fast response, and no new event if it was rejected."""
    before = head_of_log(service)
    start = time.monotonic()
    response = service.request("POST", path, body, **headers)
    assert time.monotonic() - start < RESPONSE_SECONDS_MAX
    assert response.status == 200 or head_of_log(service) == before
    return response


def head_of_log(service: RunningService) -> int:
    return int(service.request("GET", "/v1/events?limit=1").json["head"])


def lease(**fields: object) -> bytes:
    return encoded({"agentName": AGENT, "contactEmail": "user@example.com"} | fields)


# -- Numbers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [
        *("-5", "0", "0.016", "1440.01", "1e10", "1e400", "-1e400", "1e-400", str(2**63)),
        *(str(-(2**63)), "1" + "0" * 300, "9" * 5_000, "NaN", "Infinity", "-Infinity", "true"),
        *('"30"', "null", "[]", "{}", "[30]"),
    ],
    ids=lambda number: number[:20],
)
def test_invalid_duration_is_rejected(service: RunningService, number: str) -> None:
    one = '{"agentName": "%s", "contactEmail": "user@example.com", "%s": %s %s}'
    of_lease = one % (AGENT, "durationMinutes", number, "")
    rest = ', "action": "a", "reason": "b", "proposerAgent": "outreach-agent"'
    of_consensus = one.replace('"agentName": "%s", ', "") % ("timeoutMinutes", number, rest)

    for path, body in ((LEASE, of_lease), (CONSENSUS, of_consensus)):
        response = send_body(service, body.encode(), path)
        # Malformed JSON may have its own code.
        assert response.code in {"invalid_request", "malformed_request"}
        assert response.code == "invalid_request" or number[-1] in "Ny9"


@pytest.mark.parametrize("number", ["0.5", "1e3", "1440", "0.0167", "30", "3E1", "30.000000001"])
def test_valid_duration_is_accepted(service: RunningService, number: str) -> None:
    body = lease(durationMinutes=0).replace(b": 0}", f": {number}}}".encode())
    assert send_body(service, body).status == 200


# -- JSON --------------------------------------------------------------------

NOT_JSON = {
    "nothing": b"",
    "byte order mark": b"\xef\xbb\xbf" + lease(),
    "utf-16": lease().decode().encode("utf-16"),
    "utf-32": lease().decode().encode("utf-32-le"),
    "latin-1": lease(intent="@").replace(b"@", b"\xe9"),
    "overlong nul": lease(intent="@").replace(b"@", b"\xc0\x80"),
    "surrogate in utf-8": lease(intent="@").replace(b"@", b"\xed\xa0\x80"),
    "nul": lease(intent="@").replace(b"@", b"\x00"),
    "newline in text": lease(intent="@").replace(b"@", b"\n"),
    "a key twice": b'{"agentName": "outreach-agent", ' + lease()[1:],
    "tenant twice": b'{"tenantId": "default", "tenantId": "victim", ' + lease()[1:],
    "a key twice, escaped": b'{"agent\\u004eame": "outreach-agent", ' + lease()[1:],
    "two": lease() + lease(),
    "a comment": b"/* */" + lease(),
    "a trailing comma": lease()[:-1] + b",}",
    "single quotes": lease().replace(b'"', b"'"),
    "cut off": lease()[:-1],
    "a list": b"[" + lease() + b"]",
    "text": b'"lease"',
    "null": b"null",
    "deep lists": b"[" * (BODY_BYTES_MAX // 2) + b"]" * (BODY_BYTES_MAX // 2),
    "deep and open": b"[" * BODY_BYTES_MAX,
    "deep objects": b'{"a":' * (BODY_BYTES_MAX // 6) + b"1",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_malformed_json_is_rejected(service: RunningService, body: bytes) -> None:
    assert send_body(service, body).code == "malformed_request"


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 100_000, 10_000_000])
def test_large_body_is_rejected_before_parsing(service: RunningService, size: int) -> None:
    for body in (b"[" * size, b'{"agentName": "' + b"a" * size + b'"}'):
        with RawConnection(service.port) as connection:
            start = time.monotonic()
            request = head(
                "POST",
                LEASE,
                Authorization=f"Bearer {service.key}",
                Content_Type="application/json",
                Content_Length=len(body),
            )
            assert (
                connection.send_ignoring_errors(request + body).read_response().code
                == "body_too_large"
            )
            assert time.monotonic() - start < RESPONSE_SECONDS_MAX


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "identity"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "application/jsonp"},
        {"Content_Type": ""},
    ],
    ids=str,
)
def test_other_media_types_are_rejected(service: RunningService, headers: dict[str, str]) -> None:
    bomb = gzip.compress(b"[" * 10_000_000)
    assert send_body(service, bomb, **headers).code == "unsupported_media_type"


# -- Fields ------------------------------------------------------------------


def example(
    service: RunningService, endpoint: AnyOperation
) -> tuple[str, str, str, dict[str, Any]]:
    """Return method, path, key and body of an example request in the tenant of the service."""
    key = service.admin_key if "admin" in endpoint.roles else service.key
    path = re.sub("{.*}", "none", endpoint.path)
    body = BODIES[endpoint.name]
    return endpoint.method, path, key, body | dict.fromkeys(body.keys() & {"tenantId"}, "default")


@pytest.mark.parametrize("endpoint", STRICT, ids=lambda endpoint: endpoint.name)
def test_unknown_fields_are_rejected(service: RunningService, endpoint: AnyOperation) -> None:
    method, path, key, body = example(service, endpoint)
    for name in ("x", "fence_", "agentID", "tenant_id", "__proto__", "expiresAt", "createdAt", ""):
        response = service.request(method, path, body | {name: 1}, key=key)
        assert response.code == "invalid_request"
        assert [fault["field"] for fault in response.json["errors"]] == [name]


def test_unknown_settings_are_ignored(service: RunningService) -> None:
    agent_id = service.request("GET", "/v1/agent/agents").json[0]["id"]
    settings = {"humanizer_enabled": True, "x": {"y": [None]}, "__proto__": 1}
    response = service.request("PUT", f"/v1/agent/agents/{agent_id}/config", settings)
    assert response.json == {"humanizer_enabled": True}


@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800", r"\udfff", r"\udfff\ud800"])
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda endpoint: endpoint.name)
def test_text_with_nul_or_unpaired_surrogate_is_rejected(
    service: RunningService, endpoint: AnyOperation, escape: str
) -> None:
    method, path, key, body = example(service, endpoint)
    texts = [name for name, value in body.items() if isinstance(value, str)]
    for name in [*texts, "humanizer_provider"]:
        sent = json.dumps(body | {name: "@"}).replace('"@"', f'"{escape}"')
        assert service.request(method, path, sent.encode(), key=key).code == "invalid_request"


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda endpoint: endpoint.name)
def test_long_text_is_rejected_quickly(service: RunningService, endpoint: AnyOperation) -> None:
    method, path, key, body = example(service, endpoint)
    for long in ("a@" + "a." * 25_000, "a" * 50_000, "@" * 50_000, "a.-" * 17_000, "é" * 10_000):
        for name in [name for name, value in body.items() if isinstance(value, str)]:
            expected = 404 if (endpoint.name, name) in LONG_TEXTS else 422
            start = time.monotonic()
            assert service.request(method, path, body | {name: long}, key=key).status == expected
            assert time.monotonic() - start < RESPONSE_SECONDS_MAX


# -- Queries, paths, methods and headers -------------------------------------


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("&".join(f"a{number}=1" for number in range(1_000)), "malformed_request"),
        ("limit=1&limit=2", "malformed_request"),
        ("limit", "malformed_request"),
        ("agentId=%ff", "malformed_request"),
        ("agentId=%ed%a0%80", "malformed_request"),
        ("agentId=%00", "invalid_request"),
        ("limit=0", "invalid_request"),
        ("limit=1001", "invalid_request"),
        ("limit=1e2", "invalid_request"),
        ("limit=" + "9" * 5_000, "invalid_request"),
        ("limit=", "invalid_request"),
        ("limit=%D9%A1", "invalid_request"),
        ("after=" + "a" * 65, "invalid_request"),
        ("contactEmail=" + "a." * 5_000, "invalid_request"),
        ("contactEmail=invalid", "contact_email_invalid"),
        ("unknown=1", "invalid_request"),
        ("order_by=1;drop+table+events", "invalid_request"),
        ("tenantId=%2A", "invalid_request"),
        ("tenantId=Default", "tenant_forbidden"),
    ],
    ids=lambda text: text[:30],
)
def test_invalid_query_is_rejected(service: RunningService, query: str, code: str) -> None:
    assert service.request("GET", f"{LEASES}?{query}").code == code


@pytest.mark.parametrize(
    "name", ["%00", "%0a", "%ff", "*", ">", "..", "%2e%2e", "'--", "a" * 9_999]
)
def test_hostile_path_is_not_found(service: RunningService, name: str) -> None:
    for path in (f"{LEASE}/{name}", f"{CONSENSUS}/{name}", f"/v1/agent/agents/{name}"):
        assert service.request("GET", path).status == 404


def test_other_methods_are_not_allowed(service: RunningService) -> None:
    for method in ("TRACE", "OPTIONS", "PATCH", "PUT", "GET", "DELETE", "PROPFIND"):
        response = service.request(method, LEASE)
        assert response.code == "method_not_allowed"
        assert response.headers["allow"] == "POST"
    overridden = service.request("GET", LEASES, X_HTTP_Method_Override="DELETE")
    assert overridden.status == 200


@pytest.mark.parametrize(
    "key", ["a" * 256, "", "one\ttwo", "\xe9"], ids=["long", "empty", "tab", "latin-1"]
)
def test_invalid_idempotency_key_is_rejected(service: RunningService, key: str) -> None:
    assert send_body(service, lease(), Idempotency_Key=key).code == "idempotency_key_invalid"


def test_huge_idempotency_key_is_rejected(service: RunningService, way: Way) -> None:
    """Only the hardened protocol limits the headers; plain uvicorn passes them to the API."""
    response = send_body(service, lease(), Idempotency_Key="a" * 40_000)
    rejected = (431, "headers_too_large") if way.hardened else (400, "idempotency_key_invalid")
    assert (response.status, response.code) == rejected


def test_service_is_ready_and_logs_no_secret_after_all_attacks(service: RunningService) -> None:
    """Runs last, so the log contains every attack of this file."""
    assert service.request("GET", "/readyz").json["log"] == "ok"
    log = service.log.read_text()
    assert "internal_error" not in log
    assert "Traceback" not in log
    assert service.key not in log
    assert service.admin_key not in log
