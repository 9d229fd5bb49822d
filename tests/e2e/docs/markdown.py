"""Markdown as it is written here: its fences, its headings, its links, its tables.

* A fence is opened and closed by three backticks of its own; what is between is text and nothing
  else, so a heading or a link in a fence is neither.
* Every fence has a language, and that says what becomes of the block (see ``following``): ``sh``,
  ``console`` and ``python`` are run, ``json`` is compared, ``text`` is only read.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from quorate.domain.shared.records import record
from tests.support.paths import ROOT

RUN = ("sh", "console", "python")
READ = ("json", "text")
FENCE = "```"
_HEADING = re.compile(r"#{1,6} +(.+?)\s*#*")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_CODE = re.compile(r"`[^`]*`")


@record
class Fence:
    """``line`` is where the block's first line stands in its document, from 1."""

    language: str
    text: str
    line: int


class Document:
    """One Markdown file, known by its path from the root of the repository."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text("utf-8") if text is None else text

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def fences(self) -> list[Fence]:
        found, opened, begins = [], "", 0
        lines = self.text.splitlines()
        for number, line in enumerate(lines, start=1):
            if not line.lstrip().startswith(FENCE):
                continue
            if begins == 0:
                opened, begins = line.strip().removeprefix(FENCE), number + 1
                continue
            text = "".join(f"{inner}\n" for inner in lines[begins - 1 : number - 1])
            found.append(Fence(language=opened, text=text, line=begins))
            begins = 0
        assert begins == 0, f"{self.path.name}:{begins}: the fence is never closed"
        return found

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """Numbered lines outside of fences."""
        inside = {
            number
            for fence in self.fences
            for number in range(fence.line - 1, fence.line + fence.text.count("\n") + 1)
        }
        lines = enumerate(self.text.splitlines(), start=1)
        return [(number, line) for number, line in lines if number not in inside]

    @property
    def anchors(self) -> set[str]:
        """What can stand after ``#`` in a link to this document."""
        found: set[str] = set()
        for _, line in self.prose:
            if heading := _HEADING.fullmatch(line):
                found.add(_anchor(heading[1], found))
        return found

    @property
    def links(self) -> Iterator[tuple[int, str]]:
        for number, line in self.prose:
            without_code = _CODE.sub("", line)
            for pattern in (_LINK, _IMAGE):
                yield from ((number, target) for target in pattern.findall(without_code))

    def rows(self) -> Iterator[list[str]]:
        """The cells of every table's rows, its headings included."""
        for _, line in self.prose:
            if line.startswith("|") and not set(line) <= set("|-: "):
                yield [cell.strip() for cell in line.strip("|").split("|")]


def _anchor(heading: str, taken: set[str]) -> str:
    """As forges make them: lower case, spaces to hyphens, punctuation left out, repeats counted."""
    plain = _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")
    count, anchor = 0, plain
    while anchor in taken:
        count += 1
        anchor = f"{plain}-{count}"
    return anchor


def documents() -> list[Document]:
    """Everything that is written for readers: the README, docs/ and examples/."""
    paths = [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "examples").glob("*.md")),
    ]
    return [Document(path) for path in paths]


def document(name: str) -> Document:
    return Document(ROOT / name)
