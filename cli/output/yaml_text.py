"""Write JSON values as YAML, without a YAML package: the base installation has none.

Strings are plain where they can only be read as strings, and quoted as in JSON elsewhere: YAML
reads every JSON string.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

INDENT = "  "
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*", re.ASCII)
# Words that some version of YAML reads as null or as a boolean.
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
# JSON writes these characters as they are; YAML does not allow them, or reads line breaks.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def to_yaml(value: Any) -> str:  # noqa: ANN401 - any JSON value.
    """Return a JSON value as a YAML document that ends with a line break."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value.
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _entry(f"{_scalar(name)}:", member)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"{INDENT}{line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(head: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value.
    lines = list(_lines(value))
    if isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from (f"{INDENT}{line}" for line in lines)
    else:
        yield f"{head} {lines[0]}"


def _scalar(value: Any) -> str:  # noqa: ANN401 - any JSON value.
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text = orjson.dumps(value).decode()
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")  # YAML 1.1 reads 1e16 as a string.
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
