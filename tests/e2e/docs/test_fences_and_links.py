"""No snippet escapes the tests by its language, and no link leads nowhere."""

import json
from urllib.parse import unquote

import pytest

from tests.e2e.docs.markdown import READ, RUN, Document, documents
from tests.support.paths import ROOT

LINE_LENGTH_MAX = 160
ELSEWHERE = ("http://", "https://", "mailto:")
OTHER_WAYS = ("~~~", "<pre", "    ", "\t")  # To show code in Markdown.
WRITTEN = documents()
LINKING = [
    *WRITTEN,
    *(Document(path) for path in sorted(ROOT.glob("*.md")) if path.name != "README.md"),
]


@pytest.mark.parametrize("document", WRITTEN, ids=lambda document: document.name)
def test_every_fence_has_a_language_that_is_run_or_compared(document: Document) -> None:
    unknown = [
        f"{document.name}:{fence.line} {fence.language!r}"
        for fence in document.fences
        if fence.language not in {*RUN, *READ}
    ]

    assert unknown == []


@pytest.mark.parametrize("document", WRITTEN, ids=lambda document: document.name)
def test_nothing_is_shown_other_than_in_fences(document: Document) -> None:
    shown = [
        f"{document.name}:{number}"
        for number, line in document.prose
        if line.startswith(OTHER_WAYS) or "<code" in line
    ]

    assert shown == []


@pytest.mark.parametrize("document", WRITTEN, ids=lambda document: document.name)
def test_json_is_json(document: Document) -> None:
    for fence in document.fences:
        if fence.language == "json":
            json.loads(fence.text)


@pytest.mark.parametrize("document", LINKING, ids=lambda document: document.name)
def test_every_link_within_the_repository_leads_somewhere(document: Document) -> None:
    broken = [
        f"{document.name}:{number}: {target}"
        for number, target in document.links
        if not target.startswith(ELSEWHERE) and not leads_somewhere(document, target)
    ]

    assert broken == []


def leads_somewhere(document: Document, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = (document.path.parent / unquote(path)).resolve() if path else document.path
    if not there.is_relative_to(ROOT) or not there.exists():
        return False
    return not anchor or anchor in Document(there).anchors


@pytest.mark.parametrize("document", WRITTEN, ids=lambda document: document.name)
def test_lines_fit_on_a_screen(document: Document) -> None:
    long = [
        f"{document.name}:{number}"
        for number, line in document.prose
        if len(line) > LINE_LENGTH_MAX and not line.startswith("|")
    ]

    assert long == []


def test_every_document_can_be_found_from_the_first() -> None:
    reached: set[str] = set()
    waiting = [Document(ROOT / "README.md")]
    while waiting:
        document = waiting.pop()
        if document.name in reached:
            continue
        reached.add(document.name)
        targets = [
            (document.path.parent / target.partition("#")[0]).resolve()
            for _, target in document.links
        ]
        waiting += [Document(each) for each in targets if each.suffix == ".md" and each.is_file()]

    assert {document.name for document in WRITTEN} <= reached
