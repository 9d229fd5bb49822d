"""A request for the state of a moment is the same request with one more parameter."""

import pytest

from quorate.client import requests


@pytest.mark.parametrize("moment", [4, "2026-03-01T12:00:00Z"])
def test_request_names_the_moment_over_http_and_nats(moment: int | str) -> None:
    request = requests.list_leases(contact_email="kim@example.com", limit=2)

    past = request.as_of(moment)

    assert past.parameters == {**request.parameters, "asOf": moment}
    assert past.message == {**request.message, "asOf": moment}
    assert "asOf" not in request.parameters


def test_following_page_is_of_the_same_moment() -> None:
    following = requests.list_leases().as_of(4).continue_after("lease-1")

    assert following.parameters["asOf"] == 4
    assert following.parameters["after"] == "lease-1"
