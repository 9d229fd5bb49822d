"""Parse the Markdown of the documentation: fences, headings, links and tables.

* A fence begins and ends with three backticks on a separate line. Headings and links inside a
  fence are text.
* The language of a fence selects what the tests do with it (see ``page_runner``): ``sh``,
  ``console``, ``python`` and ``js`` are executed, ``json`` is compared, ``text`` is only displayed.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from quorate.domain.shared.records import record
from tests.support.paths import ROOT

EXECUTED = ("sh", "console", "python", "js")
DISPLAYED = ("json", "text", "toml")
FENCE = "```"
_HEADING = re.compile(r"#{1,6} +(.+?)\s*#*")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
_REMOVED_FROM_ANCHORS = re.compile(r"[^\w\- ]")
_CODE = re.compile(r"`[^`\n]*`")


@record
class Fence:
    """A fenced block. ``line`` is the number of its first text line in the document, from 1."""

    language: str
    text: str
    line: int


class Document:
    """One Markdown file; ``text`` replaces the content of the file in tests."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text("utf-8") if text is None else text

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def fences(self) -> list[Fence]:
        """Return the fenced blocks; fail when a fence is not closed."""
        fences, language, first_line = [], "", 0
        lines = self.text.splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.lstrip().startswith(FENCE):
                continue
            if first_line == 0:
                language, first_line = line.strip().removeprefix(FENCE), number + 1
                continue
            text = "".join(f"{inner}\n" for inner in lines[first_line - 1 : number - 1])
            fences.append(Fence(language=language, text=text, line=first_line))
            first_line = 0
        assert first_line == 0, f"{self.path.name}:{first_line}: the fence is not closed"
        return fences

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """Return the numbered lines outside of fences."""
        fenced = {
            number
            for fence in self.fences
            for number in range(fence.line - 1, fence.line + fence.text.count("\n") + 1)
        }
        lines = enumerate(self.text.splitlines(), start=1)
        return [(number, line) for number, line in lines if number not in fenced]

    @property
    def anchors(self) -> set[str]:
        """Return the anchors of the headings, which links name after ``#``."""
        anchors: set[str] = set()
        for _, line in self.prose:
            if heading := _HEADING.fullmatch(line):
                anchors.add(_anchor(heading[1], anchors))
        return anchors

    @property
    def links(self) -> Iterator[tuple[int, str]]:
        """Yield the line number and the target of each link and image."""
        lines = [""] * (len(self.text.splitlines()) + 1)
        for number, line in self.prose:
            lines[number] = _CODE.sub("", line)
        prose = "\n".join(lines)  # A link text may continue on the next line.
        for pattern in (_LINK, _IMAGE):
            for link in pattern.finditer(prose):
                yield prose.count("\n", 0, link.start()), link[1]

    def rows(self) -> Iterator[list[str]]:
        """Yield the cells of every table row, including header rows."""
        for _, line in self.prose:
            if line.startswith("|") and not set(line) <= set("|-: "):
                yield [cell.strip() for cell in line.strip("|").split("|")]


def _anchor(heading: str, taken: set[str]) -> str:
    """Return the anchor that Git forges generate: lower case, hyphens, a suffix for duplicates."""
    plain = _REMOVED_FROM_ANCHORS.sub("", heading.lower()).replace(" ", "-")
    count, anchor = 0, plain
    while anchor in taken:
        count += 1
        anchor = f"{plain}-{count}"
    return anchor


def documents() -> list[Document]:
    """Return all documents for readers: the README, docs/ and examples/."""
    paths = [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").glob("*.md")),
    ]
    return [Document(path) for path in paths]


def document(name: str) -> Document:
    return Document(ROOT / name)
