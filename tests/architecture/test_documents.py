"""Paths named in the architecture, contribution and decision documents exist.

The documents name modules in backticks, such as ``eventlog/command_bus.py``. A renamed module fails
this test until the documents name its new path.
"""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCUMENTS = [
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
TOP_FOLDERS = "|".join(
    path.name for path in sorted(ROOT.iterdir()) if path.is_dir() and path.name[0] != "."
)
_PATH = re.compile(rf"(?<![\w./-])(?:{TOP_FOLDERS})/[\w./-]*\w")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_document_names_existing_paths_only(document: Path) -> None:
    named = _PATH.findall(document.read_text("utf-8"))

    assert [path for path in named if not (ROOT / path).exists()] == []
