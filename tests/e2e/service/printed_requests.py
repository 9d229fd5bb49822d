"""Requests and answers as documents print them: read to the letter, compared by their meaning.

A printed answer is fulfilled by one that has all its fields under their names, with the very values
that were printed; only ids and times are others, and those must look like the printed ones.
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
class Printed:
    """A request as it stands in a document."""

    method: str
    path: str  # With its query.
    headers: Mapping[str, str]
    body: str | None


def curl(text: str) -> Printed:
    """The request that a printed curl command makes."""
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
    return Printed(method=method, path=path, headers=headers, body=body)


def plain(text: str) -> Printed:
    """The request of a line like ``POST /path``, followed by its body."""
    line, _, body = text.strip().partition("\n")
    method, path = line.split()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer YOUR_API_KEY"}
    return Printed(method=method, path=path, headers=headers, body=body)


def with_ids(text: str, ids: Mapping[str, str]) -> str:
    """A text with what was printed for an id replaced by the id."""
    for printed, actual in ids.items():
        text = text.replace(printed, actual)
    return text


def assert_fulfils(answer: object, printed: str, ids: Mapping[str, str]) -> None:
    """``ids`` say which ids this answer must have where certain ones were printed."""
    _compare(answer, json.loads(printed), ids, "the answer")


def _compare(answer: object, printed: object, ids: Mapping[str, str], where: str) -> None:
    match printed:
        case dict():
            assert isinstance(answer, dict), where
            assert printed.keys() <= answer.keys(), where
            for name, value in printed.items():
                _compare(answer[name], value, ids, f"{where}'s {name}")
        case list():
            assert isinstance(answer, list), where
            assert len(answer) == len(printed), where
            for one, other in zip(answer, printed, strict=True):
                _compare(one, other, ids, f"an item of {where}")
        case str() if printed in ids:
            assert answer == ids[printed], where
        case str() if form := _form(printed):
            assert form.fullmatch(str(answer)), f"{where}: {answer!r} for {printed!r}"
        case _:
            assert answer == printed, where


def _form(printed: str) -> re.Pattern[str] | None:
    if PRINTED_AGENT.fullmatch(printed):
        return AGENT
    return next((form for form in (TIME, UUID) if form.fullmatch(printed)), None)
