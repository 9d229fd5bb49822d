"""What tests of every folder may ask for."""

import gc
from collections.abc import Iterator

import pytest

from tests.e2e.service.shared_service import SharedService
from tests.support import query_cache
from tests.support.forked_process import end_fork_server
from tests.support.postgres import PostgresServer, remove_shared, shared

# They wait more than they compute: the others are done meanwhile.
PATIENT = ("containers", "crash", "fleet", "replicas", "tasks")
# Each file is run by one process, so the longest files must not be the last ones.
LONG = (
    "test_help_examples",
    "test_schemathesis",
    "test_snippets",
    "test_tampered_log",
    "test_trials",
)

# Each test process collects thousands of tests: they are not garbage, and are not searched for it.
COLLECT_EVERY_OBJECTS = 20_000
gc.set_threshold(COLLECT_EVERY_OBJECTS, 10, 50)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.path.parent.name in PATIENT:
        return 0
    return 1 if item.path.stem in LONG else 2


@pytest.fixture(scope="session", autouse=True)
def _queries_compiled_once() -> Iterator[None]:
    with query_cache.cache_queries():
        yield


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """A running PostgreSQL: take a place of your own with ``database_url()``."""
    return shared()


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedService]:
    """Without options; to be taken by ``service`` in whatever folder of tests has one."""
    service = SharedService(lambda: tmp_path_factory.mktemp("shared-service"))
    yield service
    service.end()


def pytest_sessionfinish() -> None:
    remove_shared()
    end_fork_server()
