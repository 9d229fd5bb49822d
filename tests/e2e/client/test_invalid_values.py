"""Values that no request can carry are rejected with the name of the field, before sending."""

from collections.abc import Callable

import pytest

import quorate.client
from quorate.client import AgentRef, InvalidRequestError, requests
from quorate.client.request_builder import Request
from quorate.client.serialization import encode_http_body, encode_nats_message, idempotency_headers

HALF = "\ud800"  # Half of a surrogate pair.
ANN = AgentRef(name="ann")


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: requests.request_send(ANN, "a@b.co", fence=2**70), "fence"),
        (lambda: requests.request_send(AgentRef(name=f"a{HALF}"), "a@b.co"), "agentName"),
        (lambda: requests.acquire_lease(ANN, f"a{HALF}@b.co"), "contactEmail"),
        (lambda: requests.acquire_lease(ANN, "a@b.co", intent=HALF), "intent"),
        (lambda: requests.list_leases(contact_email=HALF), "contactEmail"),
        (lambda: requests.get_lease(HALF), "leaseId"),
        (lambda: requests.put_config("a", {"humanizer_style": HALF}), "humanizer_style"),
    ],
)
@pytest.mark.parametrize("encode", [encode_http_body, encode_nats_message])
def test_value_that_cannot_be_sent_is_rejected_with_its_field(
    make: Callable[[], Request[object]], encode: Callable[[Request[object]], object], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode(make())

    assert str(caught.value).startswith(f"Invalid request: {field}: ")
    assert caught.value.details["errors"][0]["field"] == field


@pytest.mark.parametrize("key", ["\N{LATIN SMALL LETTER U WITH DIAERESIS}", "a\r\nb", HALF])
def test_idempotency_key_that_no_header_can_carry_is_rejected(key: str) -> None:
    with pytest.raises(InvalidRequestError, match="Idempotency-Key"):
        idempotency_headers(requests.heartbeat(ANN), key)


def test_valid_values_are_encoded() -> None:
    request = requests.acquire_lease(ANN, "a@b.co", intent="\N{SNOWMAN}")

    assert encode_http_body(request) == encode_nats_message(request)


def test_star_import_has_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from quorate.client import *", names)  # noqa: S102 - the statement is the test.

    public = {name for name in dir(quorate.client) if name[0].isupper()} - {"TYPE_CHECKING"}
    assert public <= names.keys()
    assert {"Agent", "Client", "LeaseConflictError"} <= public
