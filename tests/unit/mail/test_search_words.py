"""Words of messages and queries: no character is an operator, and both follow the same rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.shared.search_words import (
    INDEXED_BYTES_MAX,
    QUERY_WORDS_MAX,
    SNIPPET_LENGTH,
    WORD_LENGTH_MAX,
    beginning,
    make_snippet,
    query_words,
    text_of_html,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World", ["hello", "world"]),
        ("Café CAFE\u0301", ["cafe", "cafe"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("TASK:order_7-b", ["task", "order", "7", "b"]),
        ("东京 ab", ["东", "京", "ab"]),
        ("\ufb01ne", ["fine"]),
        ("🎉 \0 ** -- \"'", []),
        ("x" * (WORD_LENGTH_MAX + 1), ["x" * WORD_LENGTH_MAX]),
    ],
)
def test_words_are_folded_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(max_size=300))
def test_words_of_any_text_are_found_by_their_own_folded_form(text: str) -> None:
    for word in words_of(text):
        assert word.isalnum()
        assert words_of(word)


def test_query_keeps_different_words_up_to_a_limit() -> None:
    assert query_words('a "A" b* NEAR(a)') == ["a", "b", "near"]
    assert len(query_words(" ".join(map(str, range(QUERY_WORDS_MAX * 2))))) == QUERY_WORDS_MAX


def test_beginning_ends_before_a_character_that_does_not_fit() -> None:
    assert beginning(b"a" * (INDEXED_BYTES_MAX - 1) + "é".encode()) == "a" * (INDEXED_BYTES_MAX - 1)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Hello <b>you</b> &amp; <i>me</i></p>", ["hello", "you", "me"]),
        ("<style>p{a:b}</style>x<script>if (a < b) c()</script> y", ["x", "y"]),
        ("a < b", ["a"]),
        ("<" * 1_000 + "end", []),
        ("no tags", ["no", "tags"]),
    ],
)
def test_text_of_html_has_no_tags_and_scripts(source: str, words: list[str]) -> None:
    assert words_of(text_of_html(source)) == words


def test_snippet_marks_matches_near_the_first_one() -> None:
    text = "one " * 100 + "the Café is open, cafe! " + "two " * 100 + "cafe"

    snippet = make_snippet(["cafe"], [text, "cafe"])

    assert "the **Café** is open, **cafe**! two" in snippet
    assert snippet.startswith("...")
    assert snippet.endswith("...")
    assert len(snippet) < SNIPPET_LENGTH + 20


def test_snippet_of_a_very_long_word_is_bounded() -> None:
    assert len(make_snippet(["x" * WORD_LENGTH_MAX], ["x" * 30_000])) < SNIPPET_LENGTH + 20


def test_snippet_is_of_the_subject_if_only_that_matches() -> None:
    assert make_snippet(["plan"], ["nothing", "The plan"]) == "The **plan**"


def test_snippet_without_a_match_is_the_beginning() -> None:
    assert make_snippet(["x"], ["", "  a subject\n of two lines"]) == "a subject of two lines"


@given(st.lists(st.text(max_size=50), min_size=1, max_size=3), st.text(max_size=50))
def test_snippet_of_any_text_is_bounded(texts: list[str], query: str) -> None:
    assert len(make_snippet(query_words(query), texts)) < SNIPPET_LENGTH * 3
