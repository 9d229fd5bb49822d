"""Documents, messages, help texts, docstrings and comments are plain technical English.

The guide is in CONTRIBUTING.md, the terms are in docs/glossary.md. The list of words is short on
purpose: each of them was frequent in this repository and has a plain replacement.
"""

import re
from functools import partial
from pathlib import Path

import pytest

from tests.architecture.source_tree import FILES, found_in, path_name
from tests.support.paths import ROOT

BANNED = (
    *("anew", "amiss", "mend", "mends", "mended", "stranger", "strangers", "thereof", "hence"),
    *("whoever", "whomever", "whom", "somebody", "nobody", "anybody", "beforehand"),
    *("is told", "are told", "was told", "were told", "by itself", "of one's own", "so many as"),
    *("of its own accord", "gives way", "comes to be", "without a word", "let in", "goes on"),
    *("what readers see", "our own code", "is no more", "as one likes", "stands beside"),
)
# In quotes, "nobody" is a user of the operating system.
_BANNED = re.compile(r"(?<![\"'`])\b(?:" + "|".join(BANNED) + r")\b", re.IGNORECASE)
# "Who leads is ..." and "What fell due ...": a clause as the subject of a sentence.
_CLAUSE_AS_SUBJECT = re.compile(
    r"(?:^|[.:;] |^[*-] )Who(?:m|se)? [a-z]+(?! ?[^.]*\?)", re.MULTILINE
)
CHECKED = {".md", ".py", ".yml", ".yaml", ".json", ".toml", ".html"}
# The glossary lists what terms were called before; golden files are stored data. This file names
# the words.
EXCEPT = ("docs/glossary.md", "tests/golden/", "tests/architecture/test_language.py")
TEXTS = [
    path for path in FILES if path.suffix in CHECKED and not path_name(path).startswith(EXCEPT)
]
PAGES = [path for path in TEXTS if path.suffix == ".md"]

# Terms that engineers search for, and where they must find them.
STANDARD_TERMS = {
    "README.md": ("fencing token", "append-only", "quorum", "lease", "event log"),
    "ARCHITECTURE.md": ("group commit", "outbox", "read model", "leader election", "hash chain"),
    "docs/concepts.md": ("fencing token", "quorum", "majority", "notification", "timeout"),
    "docs/http.md": ("idempotency-key", "long poll", "rate limit", "event stream"),
    "docs/nats.md": ("publish", "subscribe", "at-most-once", "token"),
    "docs/sdk.md": ("exponential backoff", "jitter", "timeout"),
    "docs/security.md": ("unauthenticated", "tenant isolation", "TLS"),
    "docs/operations/deploy.md": ("advisory lock", "leader election"),
    "docs/operations/monitor.md": ("read-only", "corrupted", "metric", "alert"),
    "docs/operations/backup-and-restore.md": ("backup", "restore"),
}


def occurrences(pattern: re.Pattern[str], path: Path) -> list[str]:
    text = path.read_text(errors="replace")
    return [
        f"{path_name(path)}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for found in pattern.finditer(text)
    ]


def test_no_file_has_a_banned_word() -> None:
    assert found_in(TEXTS, partial(occurrences, _BANNED)) == {}


def test_no_page_has_a_clause_as_subject() -> None:
    assert found_in(PAGES, partial(occurrences, _CLAUSE_AS_SUBJECT)) == {}


@pytest.mark.parametrize("page", STANDARD_TERMS)
def test_page_uses_the_standard_terms(page: str) -> None:
    text = re.sub(r"\s+", " ", (ROOT / page).read_text().lower())

    assert [term for term in STANDARD_TERMS[page] if term.lower() not in text] == []


def test_banned_word_is_detected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("The log is read anew.\nWho leads is a lock.\n")

    assert _BANNED.findall(page.read_text()) == ["anew"]
    assert _CLAUSE_AS_SUBJECT.findall(page.read_text()) == ["Who leads"]
