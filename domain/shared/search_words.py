"""Words of messages and of search queries, and the part of a message that matches.

* A word is a run of letters and digits, without case and accents; each CJK character is a word of
  its own. Everything else separates words, so no character of a query is an operator.
* The same rules apply to messages and queries, and to every database.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TypeAlias

INDEXED_BYTES_MAX = 32 * 1024  # Of a body; what follows is not found.
QUERY_WORDS_MAX = 32  # Further words of a query are ignored.
WORD_LENGTH_MAX = 64  # Of a longer word only the beginning counts.
SNIPPET_LENGTH = 160
SNIPPET_MATCHES_MAX = 20
_BEFORE_MATCH = 50  # Characters of a snippet before its first match.
_MARK = "**"
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")  # Of text in lower case.
_HIDDEN_ELEMENTS = ("script", "style", "head", "title")

Position: TypeAlias = tuple[int, int, str]  # Of a word: its start, its end, and its folded form.


def beginning(data: bytes) -> str:
    """Return the part of a body that is indexed."""
    return data[:INDEXED_BYTES_MAX].decode(errors="ignore")


def words_of(text: str) -> list[str]:
    """Return all words in their order, repeated as often as they occur."""
    composed = _composed(text)
    if composed.isascii():  # Most messages; it takes a sixth of the time.
        return [word[:WORD_LENGTH_MAX] for word in _ASCII_WORD.findall(composed.lower())]
    return [word for _, _, word in _positions(composed)]


def query_words(query: str) -> Sequence[str]:
    """Return the different words of a query."""
    return list(dict.fromkeys(words_of(query)))[:QUERY_WORDS_MAX]


def text_of_html(source: str) -> str:
    """Return the text of HTML without tags, roughly: for search, never for display as HTML."""
    texts: list[str] = []
    hidden = ""
    for number, part in enumerate(source.split("<")):
        tag, closed, text = part.partition(">") if number else ("", ">", part)
        name = re.split(r"[\s/]", tag.lower(), maxsplit=1)[0]
        if hidden:
            if tag.lower().startswith("/" + hidden):
                hidden = ""
        elif name in _HIDDEN_ELEMENTS:
            hidden = name
        if closed and not hidden:
            texts.append(text)
    return html.unescape(" ".join(texts))


def make_snippet(words: Sequence[str], texts: Sequence[str]) -> str:
    """Return the part of the first text that contains a word, with the matches between ``**``.

    Without a match it is the beginning of the first text that is not empty.
    """
    wanted = frozenset(words)
    for text in map(_composed, texts):
        matches = _near_matches(text, wanted)
        if matches:
            return _mark(text, matches)
    first = next(filter(None, map(str.strip, texts)), "")
    return " ".join(first[:SNIPPET_LENGTH].split())


def excerpt(words: Sequence[str], text: str, *, before: int, after: int) -> str:
    """Return the text around its first match, without marks; the beginning if there is none."""
    composed = _composed(text)
    wanted = frozenset(words)
    start = next((first for first, _, word in _positions(composed) if word in wanted), 0)
    return composed[max(0, start - before) : start + after]


def _near_matches(text: str, wanted: frozenset[str]) -> list[Position]:
    """Return the first match, and those that its snippet contains."""
    found: list[Position] = []
    for one in _positions(text):
        if found and (
            one[1] > found[0][0] - _BEFORE_MATCH + SNIPPET_LENGTH
            or len(found) == SNIPPET_MATCHES_MAX
        ):
            break
        if one[2] in wanted:
            found.append(one)
    return found


def _mark(text: str, matches: Sequence[Position]) -> str:
    start = max(0, matches[0][0] - _BEFORE_MATCH)
    end = max(start + SNIPPET_LENGTH, matches[0][1])
    parts = ["..."] if start else []
    at = start
    for first, last, _ in matches:
        parts += [text[at:first], _MARK, text[first:last], _MARK]
        at = last
    parts.append(text[at:end])
    if end < len(text):
        parts.append("...")
    return " ".join("".join(parts).split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _positions(text: str) -> Iterator[Position]:
    for found in _WORD.finditer(text):
        start, word = found.start(), found[0][:WORD_LENGTH_MAX]
        if folded := _folded(word):
            yield start, start + len(word), folded


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join([letter for letter in decomposed if letter.isalnum()]).casefold()
