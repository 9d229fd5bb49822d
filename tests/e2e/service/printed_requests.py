"""Requests and responses as printed in the seeds.

A response matches a printed response if it has all its fields with the same values. Only ids and
times may differ, and must have the same form as the printed ones.
"""

import json
import re
import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

from quorate.domain.shared.records import record

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PRINTED_AGENT = re.compile(r"agent_[0-9a-z]+")
AGENT = re.compile(rf"agent_{UUID.pattern}")


@record
class PrintedRequest:
    """A request as printed in a document."""

    method: str
    path: str  # With its query.
    headers: Mapping[str, str]
    body: str | None


def parse_curl(text: str) -> PrintedRequest:
    """Parse a printed curl command."""
    words = iter(shlex.split(text.replace("\\\n", " ")))
    assert next(words) == "curl"
    method, url, body = "GET", "", None
    headers: dict[str, str] = {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case _:
                url = word
    address = urlsplit(url)
    path = f"{address.path}?{address.query}" if address.query else address.path
    return PrintedRequest(method=method, path=path, headers=headers, body=body)


def parse_plain(text: str) -> PrintedRequest:
    """Parse a line like ``POST /path``, followed by the body."""
    line, _, body = text.strip().partition("\n")
    method, path = line.split()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer YOUR_API_KEY"}
    return PrintedRequest(method=method, path=path, headers=headers, body=body)


def replace_ids(text: str, ids: Mapping[str, str]) -> str:
    """Replace the printed ids in a text with the actual ids."""
    for printed, actual in ids.items():
        text = text.replace(printed, actual)
    return text


def assert_matches(response: object, printed: str, ids: Mapping[str, str]) -> None:
    """Assert that a response matches; ``ids`` maps printed ids to the expected ones."""
    _compare(response, json.loads(printed), ids, "the response")


def _compare(response: object, printed: object, ids: Mapping[str, str], where: str) -> None:
    match printed:
        case dict():
            assert isinstance(response, dict), where
            assert printed.keys() <= response.keys(), where
            for name, value in printed.items():
                _compare(response[name], value, ids, f"{where}'s {name}")
        case list():
            assert isinstance(response, list), where
            assert len(response) == len(printed), where
            for one, other in zip(response, printed, strict=True):
                _compare(one, other, ids, f"an item of {where}")
        case str() if printed in ids:
            assert response == ids[printed], where
        case str() if form := _form(printed):
            assert form.fullmatch(str(response)), f"{where}: {response!r} for {printed!r}"
        case _:
            assert response == printed, where


def _form(printed: str) -> re.Pattern[str] | None:
    if PRINTED_AGENT.fullmatch(printed):
        return AGENT
    return next((form for form in (TIME, UUID) if form.fullmatch(printed)), None)
