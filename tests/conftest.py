"""What tests of every folder may ask for."""

from collections.abc import Iterator

import pytest

from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL, shared: take a place of your own with ``database_url()``."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
