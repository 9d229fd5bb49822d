"""JSON values that are stored exactly as they were sent."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field


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


ExactJson = Annotated[Any, AfterValidator(_check_exact)]
# A text that is not empty, or another JSON value except null.
MessageContent = Annotated[
    Annotated[str, Field(min_length=1)] | dict[str, Any] | list[Any] | int | float | bool,
    AfterValidator(_check_exact),
]
