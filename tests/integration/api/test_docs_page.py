"""The OpenAPI page shows the complete document, is safe, and contains working examples."""

import shlex
from collections.abc import Iterator
from string import Template
from typing import NamedTuple

import pytest

from quorate.api.docs_page import curl_command, render
from quorate.api.documents import openapi_document
from quorate.api.html import CONTENT_SECURITY_POLICY
from quorate.api.openapi import public_path
from quorate.api.routes import ENDPOINTS
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import KINDS
from tests.integration.api.html_reader import (
    HOSTILE,
    PageReader,
    assert_links_resolve,
    assert_no_code_and_no_external_resources,
    assert_shown_as_text,
    find_article,
)
from tests.integration.api.raw_clients import (
    RawConnection,
    RawResponse,
    RunningService,
    head,
    run_service,
)

DOCUMENT = openapi_document()
PAGE = render(DOCUMENT).decode()


# -- Content -----------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_page_shows_every_endpoint(endpoint: AnyOperation) -> None:
    found = find_article(PAGE, endpoint.name)
    shown = PageReader(found)
    assert f"{endpoint.method}{public_path(endpoint)}{endpoint.summary}." in shown.text
    operation = DOCUMENT["paths"][public_path(endpoint)][endpoint.method.lower()]
    for name in [*endpoint.roles, *(one["name"] for one in operation["parameters"])]:
        assert f"<code>{name}</code>" in found
    for code in [error.code for error in endpoint.errors]:
        assert f"#problem-{code}" in shown.of("href")


def test_page_shows_limits_and_defaults() -> None:
    assert "1 to 1000; default <code>100</code>" in PAGE
    assert "0.01667 to 1440; default <code>30.0</code>" in PAGE
    assert "&quot;live&quot; | &quot;snapshot&quot;" in PAGE
    assert "<code>leaseHolder.agentName</code>" in PAGE
    assert "<code>events[].hash</code>" in PAGE


def test_page_explains_every_problem() -> None:
    for code, kind in KINDS.items():
        assert f'<tr id="problem-{code}"><td>{kind.status}<td>' in PAGE


def test_every_link_resolves() -> None:
    assert_links_resolve(PAGE, "/openapi.json", "/asyncapi")


# -- Safety ------------------------------------------------------------------


def test_page_has_no_code_and_no_external_resources() -> None:
    assert_no_code_and_no_external_resources(PAGE)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_page_escapes_the_texts_of_the_document(hostile: str) -> None:
    assert_shown_as_text(hostile, DOCUMENT, render)


# -- Examples ----------------------------------------------------------------


class Command(NamedTuple):
    method: str
    url: str
    headers: dict[str, str]
    body: str | None


def read_command(text: str) -> Command:
    """Parse a curl command, with the options that the examples use."""
    method, url, headers, body = "GET", "", {}, None
    words = iter(shlex.split(text.replace("\\\n", "")))
    assert next(words) == "curl"
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, value = next(words).split(": ", 1)
                headers[name] = value
            case "-d":
                body = next(words)
            case "-N":
                pass
            case _:
                url = word
    return Command(method, url, headers, body)


# The first operations return the ids that the others need; the last end leases and keys.
FIRST = ("register", "acquireLease", "requestConsensus", "issueKey")
LAST = ("releaseLease", "revokeKey")
NAMES = [endpoint.name for endpoint in ENDPOINTS]
ORDER = [*FIRST, *(name for name in NAMES if name not in FIRST + LAST), *LAST]
IDS = dict(zip(FIRST, ("AGENT_ID", "LEASE_ID", "CONSENSUS_ID", "KEY_ID"), strict=True))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_examples_work_with_address_and_key(service: RunningService) -> None:
    variables = {"QUORATE_URL": "", "QUORATE_API_KEY": service.key}
    for name in ORDER:
        [endpoint] = [one for one in ENDPOINTS if one.name == name]
        path = public_path(endpoint)
        operation = DOCUMENT["paths"][path][endpoint.method.lower()]
        text = curl_command(path, endpoint.method.lower(), operation)
        assert text in PageReader(PAGE).text
        if "admin" in endpoint.roles and "tenant" not in endpoint.roles:
            variables["QUORATE_API_KEY"] = service.admin_key
        response = run_command(service, read_command(Template(text).substitute(variables)))
        assert response.status == 200, (name, response)
        variables["QUORATE_API_KEY"] = service.key
        if name in IDS:
            variables[IDS[name]] = response.json["id"]


def run_command(service: RunningService, command: Command) -> RawResponse:
    headers: dict[str, object] = dict(command.headers)
    body = (command.body or "").encode()
    if body:
        headers["Content-Length"] = len(body)
    with RawConnection(service.port) as connection:
        connection.send(head(command.method, command.url, **headers) + body)
        return (
            connection.read_response_head()
            if "/stream" in command.url
            else connection.read_response()
        )


def test_service_serves_the_page_and_the_document(service: RunningService) -> None:
    shown = service.request("GET", "/docs")
    assert shown.body.decode() == PAGE
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert service.request("GET", "/openapi.json").json == DOCUMENT
