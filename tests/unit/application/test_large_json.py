"""A large JSON body may be large because of its texts only, so its parsing is short."""

import json

import pytest

from quorate.application.strict_json import TEXTS_MAX, parse
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.contracts.problems import Problem

SIZE = 2 * 1024 * 1024

TEXTS = {
    "plain": "a" * SIZE,
    "structure": '[{"a":1},' * (SIZE // 8),
    "escapes": '\\"\n' * (SIZE // 6),
    "a backslash at the end": "a" * SIZE + "\\",
    "unicode": "\N{BUSTS IN SILHOUETTE}" * (SIZE // 8),
}
MANY_VALUES = {
    "lists": b"[" + b"[]," * (SIZE // 3) + b"[]]",
    "objects": b"[" + b"{}," * (SIZE // 3) + b"{}]",
    "numbers": b"[" + b"1," * (SIZE // 2) + b"1]",
    "one number": b"1" * SIZE,
    "white space": b" " * SIZE,
    "open lists": b"[" * SIZE,
    "texts": b"[" + b'"",' * (SIZE // 3) + b'""]',
    "quotes": b'"' * SIZE,
    "backslashes": b"\\" * SIZE,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("is_ascii", [True, False])
def test_large_texts_are_parsed(text: str, *, is_ascii: bool) -> None:
    body = {"first": text, "second": "b"}
    assert parse(json.dumps(body, ensure_ascii=is_ascii).encode()) == body


@pytest.mark.parametrize("value", MANY_VALUES.values(), ids=MANY_VALUES.keys())
def test_many_values_are_rejected(value: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(b'{"a":' + value + b"}")
    assert caught.value.code == "malformed_request"


def test_texts_are_counted_with_names() -> None:
    filler = "a" * BODY_BYTES_MAX
    most = {f"{number}": "" for number in range(TEXTS_MAX // 2 - 1)} | {"text": filler}
    assert parse(json.dumps(most).encode()) == most
    with pytest.raises(Problem, match="texts"):
        parse(json.dumps(most | {"more": ""}).encode())


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_large_texts_are_as_strict_as_others(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(b'{"a":"' + b"a" * SIZE + text.encode() + b'"}')
    assert caught.value.code == "invalid_request"
