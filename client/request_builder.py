"""Make the request of any operation from its declaration, without I/O.

* A ``Request`` can be sent over HTTP (method, path, parameters, body) or over NATS (operation name
  and one message).
* Both forms are the same request. With one idempotency key the service carries it out once, and
  gives the second arrival the response of the first.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, get_args, get_origin
from urllib.parse import quote

from pydantic import BaseModel

from quorate.client.problem_errors import invalid_field
from quorate.contracts.operations import Operation, json_name, path_parameters
from quorate.contracts.wire_models import Query, ResponseModel
from quorate.domain.shared.records import changed, record

T = TypeVar("T")


@record
class Request(Generic[T]):
    """One request to the service.

    * ``name``: the operation name, as in OpenAPI and in NATS subjects.
    * ``message``: all fields in one JSON object, the body of the request over NATS.
    * ``is_command``: whether the operation changes state; only these take an idempotency key.
    * ``over_nats``: whether the operation is available over NATS.
    * ``long_poll_seconds``: how long the service may wait before it responds.
    * ``parse``: makes the typed result from the JSON of the response.
    * ``is_download``: the response is a file, and the result a ``Download``.
    """

    name: str
    method: str
    path: str
    parameters: Mapping[str, str | int | float]
    body: Mapping[str, Any] | None
    message: Mapping[str, Any]
    is_command: bool
    over_nats: bool = False
    long_poll_seconds: float = 0.0
    parse: Callable[[Any], T]
    is_download: bool = False

    @property
    def can_use_nats(self) -> bool:
        """Whether to send the request over NATS: it is available there and needs no long poll."""
        return self.over_nats and not self.long_poll_seconds

    def continue_after(self, position: str | int, log_id: str | None = None) -> Self:
        """Return the same request for the page after an item id, or a sequence of a log."""
        after = {"after": position} | ({} if log_id is None else {"logId": log_id})
        return changed(
            self, parameters={**self.parameters, **after}, message={**self.message, **after}
        )

    def as_of(self, moment: int | str) -> Self:
        """Return the same request for the state of a moment: a sequence, or a time (RFC 3339).

        The service rejects it for operations without a past, such as those that change state.
        """
        named: Mapping[str, int | str] = {"asOf": moment}
        return changed(
            self, parameters={**self.parameters, **named}, message={**self.message, **named}
        )

    def with_fields(self, fields: Mapping[str, Any]) -> Self:
        """Return the same request with these fields in its body."""
        return changed(
            self, body={**(self.body or {}), **fields}, message={**self.message, **fields}
        )


def request_for(
    operation: Operation[T],
    body: BaseModel | Mapping[str, Any] | None = None,
    query: BaseModel | None = None,
    **ids: str,
) -> Request[T]:
    """Make the request of an operation.

    ``body`` and ``query`` are instances of the operation's models, ``ids`` the values of the
    parameters in its path, by their names there. Raises TypeError for missing or unknown ids, and
    InvalidRequestError for text that no request can carry.
    """
    expected = set(path_parameters(operation))
    if ids.keys() != expected:
        raise TypeError(f"{operation.name} needs exactly the ids {sorted(expected)}")
    parameters = {} if query is None else _dump(query)
    for name, value in parameters.items():
        _require_unicode(name, value)
    for name, id_ in ids.items():
        _require_unicode(json_name(operation, name), id_)
    content = _dump(body) if isinstance(body, BaseModel) else body
    if operation.body is not None and content is None:
        content = {}
    return Request(
        name=operation.name,
        method=operation.method,
        path=operation.path.format(**{name: quote(id_, safe="") for name, id_ in ids.items()}),
        parameters=parameters,
        body=content,
        message={
            **parameters,
            **(content or {}),
            **{json_name(operation, name): id_ for name, id_ in ids.items()},
        },
        is_command=operation.command,
        over_nats=operation.over_nats and not operation.is_download,  # A file may be large.
        is_download=operation.is_download,
        long_poll_seconds=float(getattr(query, "wait", 0.0)),
        parse=_parser(operation.response),
    )


def _require_unicode(name: str, value: object) -> None:
    """Reject half of a surrogate pair: it has no place in a URL or in JSON."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise invalid_field(name, "not valid Unicode text") from error


def _dump(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude_unset=isinstance(model, Query),
        warnings=False,  # The service validates.
    )


def _parser(response: type[T] | None) -> Callable[[Any], T]:
    """Return a function that makes the typed result; it raises ValueError for other JSON."""
    if get_origin(response) is list:
        (item,) = get_args(response)
        return lambda json: [item.from_json(one) for one in json]  # type: ignore[return-value]
    if isinstance(response, type) and issubclass(response, ResponseModel):
        return response.from_json
    return dict if response is not None else _parse_nothing  # type: ignore[return-value]


def _parse_nothing(_: object) -> None:
    """Ignore a response without a result."""
