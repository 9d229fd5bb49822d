"""Parse an HTML page: its tags, their attributes and the text between them."""

import base64
import copy
import hashlib
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

from quorate.api.html import CONTENT_SECURITY_POLICY
from quorate.contracts.json_schemas import Json

FORBIDDEN_TAGS = {"script", "link", "img", "iframe", "object", "form", "base"}
ATTRIBUTES = {"charset", "class", "content", "href", "id", "lang", "name"}
HOSTILE = ("<script>alert(1)</script>", "\"><b onclick='x'>", "'&lt;")


class PageReader(HTMLParser):
    """Collects all tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, name: str) -> Iterator[str]:
        return (value for _, found in self.tags if (value := found.get(name)) is not None)


def find_article(page: str, name: str) -> str:
    [found] = re.findall(rf'<article id="{name}">.*?</article>', page, re.DOTALL)
    return str(found)


def assert_links_resolve(page: str, *external: str) -> None:
    reader = PageReader(page)
    ids = list(reader.of("id"))
    assert len(set(ids)) == len(ids)
    for target in reader.of("href"):
        assert target in external or target.removeprefix("#") in ids
    assert set(external) <= set(reader.of("href"))


def assert_no_code_and_no_external_resources(page: str) -> None:
    reader = PageReader(page)
    assert not FORBIDDEN_TAGS & {tag for tag, _ in reader.tags}
    assert {name for _, found in reader.tags for name in found} <= ATTRIBUTES
    [style] = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; ")


def assert_shown_as_text(hostile: str, document: Json, page: Callable[[Json], bytes]) -> None:
    """Assert that hostile text in a document does not change the tags of its page."""
    harmless = PageReader(page(document).decode())
    shown = PageReader(page(_append_everywhere(copy.deepcopy(document), hostile)).decode())
    assert hostile in shown.text
    assert {tag for tag, _ in shown.tags} == {tag for tag, _ in harmless.tags}
    assert {name for _, found in shown.tags for name in found} == {
        name for _, found in harmless.tags for name in found
    }


def _append_everywhere(value: Any, hostile: str) -> Any:  # noqa: ANN401 - any part of it.
    """Append hostile text to every description, summary, title, pattern, default and version."""
    match value:
        case dict():
            words = {"description", "summary", "title", "pattern", "default", "version"}
            return {
                key: f"{inner}{hostile}"
                if key in words and not isinstance(inner, dict)
                else _append_everywhere(inner, hostile)
                for key, inner in value.items()
            }
        case list():
            return [_append_everywhere(inner, hostile) for inner in value]
        case _:
            return value
