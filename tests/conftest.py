"""What tests of every folder may ask for."""

import pytest

from tests.postgres import PostgresServer, remove_shared, shared


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """A running PostgreSQL: take a place of your own with ``database_url()``."""
    return shared()


def pytest_sessionfinish() -> None:
    remove_shared()
