"""The AsyncAPI page shows the complete document, without code or external resources."""

import re
from collections.abc import Iterator

import pytest

from quorate.api.asyncapi_page import render, request_command, subscribe_command
from quorate.api.documents import asyncapi_document
from quorate.api.html import CONTENT_SECURITY_POLICY
from quorate.api.notification_schemas import LOG_EVENTS, NOTIFICATIONS, PublishedMessage
from quorate.api.registry import NATS_OPERATIONS
from quorate.contracts.operations import AnyOperation
from tests.integration.api.html_reader import (
    HOSTILE,
    PageReader,
    assert_links_resolve,
    assert_no_code_and_no_external_resources,
    assert_shown_as_text,
    find_article,
)
from tests.integration.api.raw_clients import RunningService, run_service

DOCUMENT = asyncapi_document()
PAGE = render(DOCUMENT).decode()
TEXT = PageReader(PAGE).text


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


# -- Content -----------------------------------------------------------------


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=lambda endpoint: endpoint.name)
def test_page_shows_every_request(endpoint: AnyOperation) -> None:
    found = find_article(PAGE, endpoint.name)
    address = DOCUMENT["channels"][endpoint.name]["address"]
    request = DOCUMENT["components"]["messages"][f"{endpoint.name}Request"]
    shown = PageReader(found)
    assert f"REQUEST{address}{endpoint.summary}." in shown.text
    assert request_command(address, request) in shown.text
    for name in request["headers"]["properties"]:
        assert f"<code>{name}</code>" in found
    for code in [error.code for error in endpoint.errors]:
        assert f"#problem-{code}" in shown.of("href")


@pytest.mark.parametrize("message", [*NOTIFICATIONS, LOG_EVENTS], ids=lambda message: message.name)
def test_page_shows_every_published_message(message: PublishedMessage) -> None:
    found = find_article(PAGE, message.name)
    address = DOCUMENT["channels"][message.name]["address"]
    shown = PageReader(found)
    assert f"SUBSCRIBE{address}{message.summary}." in shown.text
    assert subscribe_command(address) in shown.text
    for name in message.data.__annotations__:
        assert f"<code>data.{name}</code>" in found
    for role in message.family.subscribed_by:
        assert f"<code>{role}</code>" in found


def test_page_shows_the_description_with_headings() -> None:
    paragraphs = DOCUMENT["info"]["description"].split("\n\n")
    headings = [one for one in paragraphs if one.startswith("### ")]
    assert headings
    for one in paragraphs:
        assert one.removeprefix("### ").replace("`", "") in TEXT
    assert "###" not in TEXT


def test_page_explains_every_linked_problem() -> None:
    codes = set(re.findall(r'href="#problem-(\w+)"', PAGE))
    assert codes
    for code in codes:
        assert f'<tr id="problem-{code}">' in PAGE


def test_every_link_resolves() -> None:
    assert_links_resolve(PAGE, "/asyncapi.json", "/docs")


# -- Safety ------------------------------------------------------------------


def test_page_has_no_code_and_no_external_resources() -> None:
    assert_no_code_and_no_external_resources(PAGE)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_page_escapes_the_texts_of_the_document(hostile: str) -> None:
    assert_shown_as_text(hostile, DOCUMENT, render)


def test_service_serves_the_page_and_the_document(service: RunningService) -> None:
    shown = service.request("GET", "/asyncapi")
    assert shown.body.decode() == PAGE
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert service.request("GET", "/asyncapi.json").json == DOCUMENT
