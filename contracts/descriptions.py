"""Parameters that the documents of all transports share."""

from typing import Any, Final

from quorate.contracts.wire_models import SEQUENCE_MAX

IDEMPOTENCY_KEY_LENGTH_MAX = 255
IDEMPOTENCY_KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
IDEMPOTENCY_KEY_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_LENGTH_MAX,
    "pattern": IDEMPOTENCY_KEY_PATTERN,
}
IDEMPOTENCY_KEY_DESCRIPTION: Final = (
    "A repeated request with the same key and body has no further effect."
)
LAST_EVENT_ID_SCHEMA: Final[dict[str, Any]] = {
    "type": "integer",
    "minimum": 0,
    "maximum": SEQUENCE_MAX,
}
LAST_EVENT_ID_DESCRIPTION: Final = (
    "Sequence of the last event you received; the stream continues after it."
)


def id_description(name: str) -> str:
    """Describe the path parameter of an id."""
    if name == "number":
        return "Number of the attachment, from 1."
    resource = name.removesuffix("_id").replace("consensus", "proposal").replace("key", "API key")
    return f"Id of the {resource}."
