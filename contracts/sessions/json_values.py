"""JSON values that are stored exactly as they were sent."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, WithJsonSchema

_TYPES = ["string", "object", "array", "number", "boolean"]


def _check_exact(value: Any) -> Any:  # noqa: ANN401 - any JSON value.
    """Reject a value that would change: larger integers and floats, and deeper nesting."""
    try:
        is_exact = orjson.loads(orjson.dumps(value)) == value
    except (TypeError, ValueError):
        is_exact = False
    if not is_exact:
        raise ValueError(
            "integers have at most 64 bits, numbers are finite, and nesting is at most 254 deep"
        )
    return value


def _check_message(value: Any) -> Any:  # noqa: ANN401 - any JSON value.
    if value is None or value == "":
        raise ValueError("a text that is not empty, or another JSON value, is required")
    return _check_exact(value)


ExactJson = Annotated[
    Any, AfterValidator(_check_exact), WithJsonSchema({"anyOf": [{"type": [*_TYPES, "null"]}]})
]
# A text that is not empty, or another JSON value except null.
MessageContent = Annotated[Any, AfterValidator(_check_message), WithJsonSchema({"type": _TYPES})]
