"""The page shows the whole document, runs no code, fetches nothing, and its examples work."""

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
from quorate.application.operations import Endpoint
from quorate.contracts.problems import KINDS
from tests.integration.api.html_reader import (
    HOSTILE,
    Reader,
    article,
    links_lead_somewhere,
    runs_no_code_and_fetches_nothing,
    shows_as_text,
)
from tests.integration.api.raw_clients import Heard, Served, Wire, head, serving

DOCUMENT = openapi_document()
PAGE = render(DOCUMENT).decode()


# -- What it shows -----------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_endpoint_is_shown(endpoint: Endpoint) -> None:
    found = article(PAGE, endpoint.name)
    shown = Reader(found)
    assert f"{endpoint.method}{public_path(endpoint)}{endpoint.summary}." in shown.text
    operation = DOCUMENT["paths"][public_path(endpoint)][endpoint.method.lower()]
    for name in [*endpoint.roles, *(one["name"] for one in operation["parameters"])]:
        assert f"<code>{name}</code>" in found
    for code in endpoint.problems:
        assert f"#problem-{code}" in shown.of("href")


def test_bounds_and_defaults_are_shown() -> None:
    assert "1 to 1000; default <code>100</code>" in PAGE
    assert "0.01667 to 1440; default <code>30.0</code>" in PAGE
    assert "&quot;live&quot; | &quot;snapshot&quot;" in PAGE
    assert "<code>leaseHolder.agentName</code>" in PAGE
    assert "<code>events[].hash</code>" in PAGE


def test_every_problem_is_explained() -> None:
    for code, kind in KINDS.items():
        assert f'<tr id="problem-{code}"><td>{kind.status}<td>' in PAGE


def test_every_link_leads_somewhere() -> None:
    links_lead_somewhere(PAGE, "/openapi.json", "/asyncapi")


# -- What it does not --------------------------------------------------------


def test_it_runs_no_code_and_fetches_nothing() -> None:
    runs_no_code_and_fetches_nothing(PAGE)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_the_document_holds_is_shown_as_text(hostile: str) -> None:
    shows_as_text(hostile, DOCUMENT, render)


# -- The examples ------------------------------------------------------------


class Command(NamedTuple):
    method: str
    url: str
    headers: dict[str, str]
    body: str | None


def read_command(text: str) -> Command:
    """What curl would do, as far as our examples go."""
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


# The first give the ids that the others need; what ends something comes last.
FIRST = ("register", "acquireLease", "requestConsensus", "issueKey")
LAST = ("releaseLease", "revokeKey")
NAMES = [endpoint.name for endpoint in ENDPOINTS]
ORDER = [*FIRST, *(name for name in NAMES if name not in FIRST + LAST), *LAST]
IDS = dict(zip(FIRST, ("AGENT_ID", "LEASE_ID", "CONSENSUS_ID", "KEY_ID"), strict=True))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_the_examples_work_when_address_and_key_are_put_in(service: Served) -> None:
    variables = {"QUORATE_URL": "", "QUORATE_API_KEY": service.key}
    for name in ORDER:
        [endpoint] = [one for one in ENDPOINTS if one.name == name]
        path = public_path(endpoint)
        operation = DOCUMENT["paths"][path][endpoint.method.lower()]
        text = curl_command(path, endpoint.method.lower(), operation)
        assert text in Reader(PAGE).text
        if "admin" in endpoint.roles and "tenant" not in endpoint.roles:
            variables["QUORATE_API_KEY"] = service.admin_key
        heard = carried_out(service, read_command(Template(text).substitute(variables)))
        assert heard.status == 200, (name, heard)
        variables["QUORATE_API_KEY"] = service.key
        if name in IDS:
            variables[IDS[name]] = heard.json["id"]


def carried_out(service: Served, command: Command) -> Heard:
    headers: dict[str, object] = dict(command.headers)
    body = (command.body or "").encode()
    if body:
        headers["Content-Length"] = len(body)
    with Wire(service.port) as wire:
        wire.say(head(command.method, command.url, **headers) + body)
        return wire.hear_head() if "/stream" in command.url else wire.hear()


def test_it_is_served_as_it_is(service: Served) -> None:
    shown = service.ask("GET", "/docs")
    assert shown.body.decode() == PAGE
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert service.ask("GET", "/openapi.json").json == DOCUMENT
