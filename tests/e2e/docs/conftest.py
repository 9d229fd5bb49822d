"""A machine for each test that reads along."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.docs.shell import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.leave()
