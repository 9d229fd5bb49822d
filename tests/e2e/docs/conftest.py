"""Fixtures for the tests that execute the documentation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.docs.shell import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path)
    try:
        yield sandbox
    finally:
        sandbox.close()
