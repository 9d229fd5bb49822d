"""The page shows the whole document, runs no code, fetches nothing; both pages know each other."""

import re
from collections.abc import Iterator

import pytest

from quorate.api.asyncapi_page import render, request_command, subscribe_command
from quorate.api.documents import asyncapi_document
from quorate.api.html import CONTENT_SECURITY_POLICY
from quorate.api.nats_commands import NATS_ENDPOINTS
from quorate.api.notification_schemas import LOG_EVENTS, NOTIFICATIONS, PublishedMessage
from quorate.application.operations import Endpoint
from tests.integration.api.html_reader import (
    HOSTILE,
    Reader,
    article,
    links_lead_somewhere,
    runs_no_code_and_fetches_nothing,
    shows_as_text,
)
from tests.integration.api.raw_clients import Served, serving

DOCUMENT = asyncapi_document()
PAGE = render(DOCUMENT).decode()
TEXT = Reader(PAGE).text


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


# -- What it shows -----------------------------------------------------------


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_everything_that_can_be_asked_is_shown(endpoint: Endpoint) -> None:
    found = article(PAGE, endpoint.name)
    address = DOCUMENT["channels"][endpoint.name]["address"]
    request = DOCUMENT["components"]["messages"][f"{endpoint.name}Request"]
    shown = Reader(found)
    assert f"REQUEST{address}{endpoint.summary}." in shown.text
    assert request_command(address, request) in shown.text
    for name in request["headers"]["properties"]:
        assert f"<code>{name}</code>" in found
    for code in endpoint.problems:
        assert f"#problem-{code}" in shown.of("href")


@pytest.mark.parametrize("said", [*NOTIFICATIONS, LOG_EVENTS], ids=lambda said: said.name)
def test_everything_that_can_be_heard_is_shown(said: PublishedMessage) -> None:
    found = article(PAGE, said.name)
    address = DOCUMENT["channels"][said.name]["address"]
    shown = Reader(found)
    assert f"SUBSCRIBE{address}{said.summary}." in shown.text
    assert subscribe_command(address) in shown.text
    for name in said.data.__annotations__:
        assert f"<code>data.{name}</code>" in found
    for role in said.family.subscribed_by:
        assert f"<code>{role}</code>" in found


def test_the_words_of_the_document_are_shown_under_their_headings() -> None:
    paragraphs = DOCUMENT["info"]["description"].split("\n\n")
    headings = [one for one in paragraphs if one.startswith("### ")]
    assert headings
    for one in paragraphs:
        assert one.removeprefix("### ").replace("`", "") in TEXT
    assert "###" not in TEXT


def test_every_problem_that_is_spoken_of_is_explained() -> None:
    codes = set(re.findall(r'href="#problem-(\w+)"', PAGE))
    assert codes
    for code in codes:
        assert f'<tr id="problem-{code}">' in PAGE


def test_every_link_leads_somewhere() -> None:
    links_lead_somewhere(PAGE, "/asyncapi.json", "/docs")


# -- What it does not --------------------------------------------------------


def test_it_runs_no_code_and_fetches_nothing() -> None:
    runs_no_code_and_fetches_nothing(PAGE)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_the_document_holds_is_shown_as_text(hostile: str) -> None:
    shows_as_text(hostile, DOCUMENT, render)


def test_it_is_served_as_it_is(service: Served) -> None:
    shown = service.ask("GET", "/asyncapi")
    assert shown.body.decode() == PAGE
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert service.ask("GET", "/asyncapi.json").json == DOCUMENT
