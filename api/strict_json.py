"""JSON from strangers: what is read is exactly what was sent, or it is refused.

The usual parsers let the last of two equal keys win, accept NaN, and hand on NUL and halves of
surrogate pairs that some database will choke on later. Here each of these is an error that says so.
"""

import json
import re
from typing import Any, NoReturn

from quorate.contracts.problems import Problem

BODY_BYTES_MAX = 64 * 1024
INTEGER_DIGITS_MAX = 100
_ESCAPE = "\\u"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse(body: bytes) -> dict[str, Any]:
    """The one object that a body holds; raises Problem."""
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise Problem("malformed_request", "The body is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise Problem("malformed_request", f"The body is not JSON: {_reason(error)}.") from error
    if not isinstance(value, dict):
        raise Problem("malformed_request", "The body must be a JSON object.")
    if _ESCAPE in text:
        _refuse_unstorable(value)
    return value


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Problem("invalid_request", f"{name} is no number that JSON has.")


def _short_integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        raise Problem("invalid_request", f"A number may have {INTEGER_DIGITS_MAX} digits.")
    return int(digits)


def _refuse_unstorable(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say.
    """Only an escape can bring NUL or a lone surrogate into text that was valid UTF-8."""
    match value:
        case str() if _UNSTORABLE.search(value):
            raise Problem("invalid_request", "Text must not hold NUL or lone surrogates.")
        case dict():
            for key, inner in value.items():
                _refuse_unstorable(key)
                _refuse_unstorable(inner)
        case list():
            for inner in value:
                _refuse_unstorable(inner)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_short_integer
)
