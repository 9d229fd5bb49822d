"""Check the form of the documentation: fences, links, line lengths and page types."""

import json
import re
from urllib.parse import unquote

import pytest

from tests.e2e.docs.markdown import DISPLAYED, EXECUTED, Document, document, documents
from tests.support.paths import ROOT

LINE_LENGTH_MAX = 160
EXTERNAL = ("http://", "https://", "mailto:")
OTHER_CODE_BLOCKS = ("~~~", "<pre", "    ", "\t")
PAGE_TYPES = ("Tutorial", "How-to guide", "Reference", "Explanation")
_MODULE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+\.py)`")
DOCUMENTS = documents()
PAGES = [
    page
    for page in DOCUMENTS
    if page.path.parent == ROOT / "docs" and page.path.name != "README.md"
]
LINKING = [
    *DOCUMENTS,
    *(Document(path) for path in sorted(ROOT.glob("*.md")) if path.name != "README.md"),
]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_fence_has_known_language(page: Document) -> None:
    unknown = [
        f"{page.name}:{fence.line} {fence.language!r}"
        for fence in page.fences
        if fence.language not in {*EXECUTED, *DISPLAYED}
    ]

    assert unknown == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_code_blocks_are_fences(page: Document) -> None:
    other = [
        f"{page.name}:{number}"
        for number, line in page.prose
        if line.startswith(OTHER_CODE_BLOCKS) or "<code" in line
    ]

    assert other == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_json_fence_is_valid_json(page: Document) -> None:
    for fence in page.fences:
        if fence.language == "json":
            json.loads(fence.text)


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_link_target_exists(page: Document) -> None:
    broken = [
        f"{page.name}:{number}: {target}"
        for number, target in page.links
        if not target.startswith(EXTERNAL) and not target_exists(page, target)
    ]

    assert broken == []


def target_exists(page: Document, target: str) -> bool:
    """Return whether a relative link names a file in the repository, and a heading in it."""
    path, _, anchor = target.partition("#")
    file = (page.path.parent / unquote(path)).resolve() if path else page.path
    if not file.is_relative_to(ROOT) or not file.exists():
        return False
    return not anchor or anchor in Document(file).anchors


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_line_fits_in_160_columns(page: Document) -> None:
    long = [
        f"{page.name}:{number}"
        for number, line in page.prose
        if len(line) > LINE_LENGTH_MAX and not line.startswith("|")
    ]

    assert long == []


def test_every_document_is_reachable_from_readme() -> None:
    reached: set[str] = set()
    waiting = [Document(ROOT / "README.md")]
    while waiting:
        page = waiting.pop()
        if page.name in reached:
            continue
        reached.add(page.name)
        targets = [
            (page.path.parent / target.partition("#")[0]).resolve() for _, target in page.links
        ]
        waiting += [Document(each) for each in targets if each.suffix == ".md" and each.is_file()]

    assert {page.name for page in DOCUMENTS} <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_its_type_in_first_line(page: Document) -> None:
    first = next(line for _, line in page.prose[1:] if line)

    assert first.startswith(tuple(f"**{each}.**" for each in PAGE_TYPES)), first


def test_glossary_names_existing_modules() -> None:
    modules = _MODULE.findall(document("docs/glossary.md").text)

    assert modules
    assert [each for each in modules if not (ROOT / each).is_file()] == []
