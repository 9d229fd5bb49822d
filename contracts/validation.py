"""Validate the values of a request with the model of its operation, or raise a problem."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from quorate.contracts.problems import Problem

M = TypeVar("M", bound=BaseModel)

ERRORS_SHOWN_MAX = 10
FIELD_LENGTH_SHOWN_MAX = 100


def validate(model: type[M], values: Mapping[str, Any], *, strict: bool | None = None) -> M:
    """Return an instance of the model; raise Problem with the invalid fields.

    ``strict=None`` keeps the strictness that the model declares. Only the names in JSON are fields.
    """
    try:
        return model.model_validate(values, strict=strict, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        errors = [
            {
                "field": ".".join(str(part) for part in one["loc"])[:FIELD_LENGTH_SHOWN_MAX],
                "why": one["msg"],
            }
            for one in found[:ERRORS_SHOWN_MAX]
        ]
        first = f"{errors[0]['field']}: {errors[0]['why']}" if errors else "The request is invalid."
        raise Problem("invalid_request", first, errors=errors) from None
