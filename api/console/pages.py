"""Render pages: the templates, and the headers that every response of the console has.

* Every value is escaped. Characters that reorder or hide text are shown by their code.
* The policy permits files of this service only: no inline script, no inline style, no ``eval``.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from quorate.api.console.views.view import AS_OF
from quorate.api.responses import Response
from quorate.domain.shared.daily_quotas import is_agent
from quorate.domain.shared.timestamps import instant, iso

TEMPLATES = Path(__file__).parent / "templates"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LINK = re.compile(
    r'(?P<before><a\b(?![^>]*\bdata-present\b)[^>]*?\bhref=")(?P<target>/console[^"#]*)'
)
_FORM = re.compile(r'<form\b(?![^>]*\bdata-present\b)[^>]*\bmethod="get"[^>]*>')
_KEPT = frozenset("\n\t")
FACTS_SHOWN_MAX = 8  # Of an event in a list. Its page shows all.
_REPEATED = frozenset({"contactKey", "holder", "requestedHolder", "secretHash"})


def visible(value: Any) -> Any:  # noqa: ANN401 - what a template prints.
    """Replace characters that reorder or hide text by their code."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(one if one in _KEPT or not _is_hidden(one) else _code(one) for one in value)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Cn"}


def _code(character: str) -> str:
    return f"\u27e8U+{ord(character):04X}\u27e9"


def words(name: str) -> str:
    """Return a name of Python or of a class as words: ``LeaseAcquired`` is "Lease acquired"."""
    return _WORD_START.sub(" ", name).replace("_", " ").capitalize()


def facts(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the data of an event that a list shows: names instead of ids, and no parts."""
    shown = [
        (name, value)
        for name, value in data.items()
        if value is not None
        and not isinstance(value, dict | list)
        and name not in _REPEATED
        and f"{name.removesuffix('Id')}Name" not in data
    ]
    return shown[:FACTS_SHOWN_MAX]


def percent(part: float, whole: float) -> int:
    return 0 if whole <= 0 else round(min(max(part / whole, 0), 1) * 100)


def milliseconds(text: str) -> int:
    return int(instant(text))


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["words"] = words
    made.filters["ms"] = milliseconds
    made.filters["iso"] = iso
    made.filters["facts"] = facts
    made.globals["percent"] = percent
    made.tests["agent_id"] = is_agent
    return made


def render(template: str, variables: Mapping[str, Any]) -> str:
    return environment().get_template(template).render(variables)


def keep_moment(page: str, as_of: str) -> str:
    """Return the page with links and forms that lead to pages of the same moment.

    Only templates contain tags: in values, ``<`` and quotes are escaped. So no link is forgotten.
    An element with ``data-present`` leads to the present.
    """
    moment = urlencode({AS_OF: as_of})

    def link(found: re.Match[str]) -> str:
        target = found["target"]
        if f"{AS_OF}=" in target:
            return found[0]
        return f"{found['before']}{target}{'&amp;' if '?' in target else '?'}{moment}"

    hidden = f'<input type="hidden" name="{AS_OF}" value="{escape(as_of)}">'
    return _FORM.sub(lambda found: found[0] + hidden, _LINK.sub(link, page))


def html_response(
    text: str, status: int = HTTPStatus.OK, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    body = text.encode("utf-8", "replace")
    described = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Response(status, [*described, *SECURITY_HEADERS, *headers], body)


def redirect(path: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    found = [(b"location", path.encode("ascii")), (b"content-length", b"0")]
    return Response(HTTPStatus.SEE_OTHER, [*found, *SECURITY_HEADERS, *headers], b"")
