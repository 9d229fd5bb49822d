"""Generated requests get documented responses on the ways that test_schemathesis.py does not use.

That file serves every operation with the fast lane and the hardened protocol. This file sends the
generated requests of a tenant to the hot operations only: they are the ones that FastAPI serves
without the fast lane, and any operation shows a difference between the protocols.
"""

from collections.abc import Iterator

import pytest

from quorate.api.routes import ENDPOINTS, public_path
from tests.integration.api.raw_clients import RunningService
from tests.integration.api.test_schemathesis import (
    NARROWED,
    active,
    ids,
    load,
    mail_key,
    session,
    statuses,
    tenant_request,
)
from tests.integration.api.ways import WAYS, Way

__all__ = ["active", "ids", "mail_key", "session"]  # Fixtures.


@pytest.fixture(scope="module", params=WAYS[1:], ids=str)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    way: Way = request.param
    with way.run(tmp_path_factory.mktemp("service")) as service:
        yield service


TESTS = {
    f"test_{endpoint.name}": tenant_request(load(NARROWED, endpoint.name))
    for endpoint in ENDPOINTS
    if endpoint.hot
}
globals().update(TESTS)


def test_every_hot_operation_was_exercised(
    request: pytest.FixtureRequest, service: RunningService
) -> None:
    """Verify that the tests above had a successful request to every hot operation."""
    chosen = {item.name.partition("[")[0] for item in request.session.items}
    if not chosen >= TESTS.keys():
        pytest.skip("only some of the tests were selected")
    hot = {f"{one.method} {public_path(one)}" for one in ENDPOINTS if one.hot}
    assert hot == {label for label, status in statuses(service) if status == 200}
