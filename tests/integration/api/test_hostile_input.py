"""Whatever a body or a query holds, the answer is 4xx, comes at once, and nothing is recorded."""

import gzip
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.api.strict_json import BODY_BYTES_MAX
from quorate.application.operations import Endpoint
from quorate.contracts.examples import BODIES
from quorate.contracts.requests import ConfigBody
from tests.integration.api.raw_clients import Heard, Served, Wire, encoded, head, serving

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
CONSENSUS = "/v1/agent/coordination/consensus"
AGENT = "outreach-agent"
AT_ONCE_SECONDS = 2.0  # Far less than anything quadratic takes, far more than a busy machine.

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
STRICT = [endpoint for endpoint in WITH_BODY if endpoint.body is not ConfigBody]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        assert service.ask("POST", "/v1/agent/register", {"agentName": AGENT}).status == 200
        yield service


def asked(service: Served, body: bytes, path: str = LEASE, **headers: str) -> Heard:
    """The answer, which came at once and left no trace if it was a refusal."""
    before = head_of_log(service)
    start = time.monotonic()
    heard = service.ask("POST", path, body, **headers)
    assert time.monotonic() - start < AT_ONCE_SECONDS
    assert heard.status == 200 or head_of_log(service) == before
    return heard


def head_of_log(service: Served) -> int:
    return int(service.ask("GET", "/v1/events?limit=1").json["head"])


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
def test_these_are_no_durations(service: Served, number: str) -> None:
    one = '{"agentName": "%s", "contactEmail": "user@example.com", "%s": %s %s}'
    of_lease = one % (AGENT, "durationMinutes", number, "")
    rest = ', "action": "a", "reason": "b", "proposerAgent": "outreach-agent"'
    of_consensus = one.replace('"agentName": "%s", ', "") % ("timeoutMinutes", number, rest)

    for path, body in ((LEASE, of_lease), (CONSENSUS, of_consensus)):
        heard = asked(service, body.encode(), path)
        # What is not even JSON may be told apart from what is only no duration.
        assert heard.code in {"invalid_request", "malformed_request"}
        assert heard.code == "invalid_request" or number[-1] in "Ny9"


@pytest.mark.parametrize("number", ["0.5", "1e3", "1440", "0.0167", "30", "3E1", "30.000000001"])
def test_these_are_durations(service: Served, number: str) -> None:
    body = lease(durationMinutes=0).replace(b": 0}", f": {number}}}".encode())
    assert asked(service, body).status == 200


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
def test_this_is_no_json_object(service: Served, body: bytes) -> None:
    assert asked(service, body).code == "malformed_request"


@pytest.mark.parametrize("size", [BODY_BYTES_MAX + 1, 100_000, 10_000_000])
def test_a_large_body_is_refused_before_it_is_parsed(service: Served, size: int) -> None:
    for body in (b"[" * size, b'{"agentName": "' + b"a" * size + b'"}'):
        with Wire(service.port) as wire:
            start = time.monotonic()
            request = head(
                "POST",
                LEASE,
                Authorization=f"Bearer {service.key}",
                Content_Type="application/json",
                Content_Length=len(body),
            )
            assert wire.say_while_heard(request + body).hear().code == "body_too_large"
            assert time.monotonic() - start < AT_ONCE_SECONDS


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
def test_only_plain_json_is_read(service: Served, headers: dict[str, str]) -> None:
    bomb = gzip.compress(b"[" * 10_000_000)
    assert asked(service, bomb, **headers).code == "unsupported_media_type"


# -- Fields ------------------------------------------------------------------


def example(service: Served, endpoint: Endpoint) -> tuple[str, str, str, dict[str, Any]]:
    """Who may ask, where, and with what: an example with the tenant's own name."""
    key = service.admin_key if "admin" in endpoint.roles else service.key
    path = re.sub("{.*}", "none", endpoint.path)
    body = BODIES[endpoint.name]
    return endpoint.method, path, key, body | dict.fromkeys(body.keys() & {"tenantId"}, "default")


@pytest.mark.parametrize("endpoint", STRICT, ids=lambda endpoint: endpoint.name)
def test_unknown_fields_are_refused(service: Served, endpoint: Endpoint) -> None:
    method, path, key, body = example(service, endpoint)
    for name in ("x", "fence_", "agentID", "tenant_id", "__proto__", "expiresAt", "createdAt", ""):
        heard = service.ask(method, path, body | {name: 1}, key=key)
        assert heard.code == "invalid_request"
        assert [fault["field"] for fault in heard.json["errors"]] == [name]


def test_unknown_settings_are_left_out(service: Served) -> None:
    agent_id = service.ask("GET", "/v1/agent/agents").json[0]["id"]
    settings = {"humanizer_enabled": True, "x": {"y": [None]}, "__proto__": 1}
    heard = service.ask("PUT", f"/v1/agent/agents/{agent_id}/config", settings)
    assert heard.json == {"humanizer_enabled": True}


@pytest.mark.parametrize("escape", [r"\u0000", r"\ud800", r"\udfff", r"\udfff\ud800"])
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda endpoint: endpoint.name)
def test_no_text_holds_nul_or_half_a_character(
    service: Served, endpoint: Endpoint, escape: str
) -> None:
    method, path, key, body = example(service, endpoint)
    texts = [name for name, value in body.items() if isinstance(value, str)]
    for name in [*texts, "humanizer_provider"]:
        sent = json.dumps(body | {name: "@"}).replace('"@"', f'"{escape}"')
        assert service.ask(method, path, sent.encode(), key=key).code == "invalid_request"


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda endpoint: endpoint.name)
def test_long_text_costs_no_time(service: Served, endpoint: Endpoint) -> None:
    method, path, key, body = example(service, endpoint)
    for long in ("a@" + "a." * 25_000, "a" * 50_000, "@" * 50_000, "a.-" * 17_000, "é" * 10_000):
        for name in [name for name, value in body.items() if isinstance(value, str)]:
            start = time.monotonic()
            assert service.ask(method, path, body | {name: long}, key=key).status == 422
            assert time.monotonic() - start < AT_ONCE_SECONDS


# -- Everything else ---------------------------------------------------------


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
        ("contactEmail=nobody", "contact_email_invalid"),
        ("unknown=1", "invalid_request"),
        ("order_by=1;drop+table+events", "invalid_request"),
        ("tenantId=%2A", "invalid_request"),
        ("tenantId=Default", "tenant_forbidden"),
    ],
    ids=lambda text: text[:30],
)
def test_these_are_no_queries(service: Served, query: str, code: str) -> None:
    assert service.ask("GET", f"{LEASES}?{query}").code == code


@pytest.mark.parametrize(
    "name", ["%00", "%0a", "%ff", "*", ">", "..", "%2e%2e", "'--", "a" * 9_999]
)
def test_no_name_in_a_path_does_harm(service: Served, name: str) -> None:
    for path in (f"{LEASE}/{name}", f"{CONSENSUS}/{name}", f"/v1/agent/agents/{name}"):
        assert service.ask("GET", path).status == 404


def test_methods_that_no_address_takes(service: Served) -> None:
    for method in ("TRACE", "OPTIONS", "PATCH", "PUT", "GET", "DELETE", "PROPFIND"):
        heard = service.ask(method, LEASE)
        assert heard.code == "method_not_allowed"
        assert heard.headers["allow"] == "POST"
    overridden = service.ask("GET", LEASES, X_HTTP_Method_Override="DELETE")
    assert overridden.status == 200


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("a" * 256, "idempotency_key_invalid"),
        ("", "idempotency_key_invalid"),
        ("one\ttwo", "idempotency_key_invalid"),
        ("\xe9", "idempotency_key_invalid"),
        ("a" * 40_000, "headers_too_large"),
    ],
    ids=["long", "empty", "tab", "latin-1", "huge"],
)
def test_these_are_no_idempotency_keys(service: Served, key: str, code: str) -> None:
    assert asked(service, lease(), Idempotency_Key=key).code == code


def test_after_all_this_it_serves_and_has_told_no_secret(service: Served) -> None:
    """Last on purpose: the log has by now seen every attack of this file."""
    assert service.ask("GET", "/readyz").json["log"] == "ok"
    log = service.log.read_text()
    assert "internal_error" not in log
    assert "Traceback" not in log
    assert service.key not in log
    assert service.admin_key not in log
