"""Every example has a usage text, is short, and is listed in examples/README.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.examples.programs import EXAMPLES
from tests.e2e.service.service_process import environment

LINES_MAX = 120
PROGRAMS = sorted([*EXAMPLES.rglob("*.py"), *EXAMPLES.rglob("*.mjs")])
AGENTS = [path for path in PROGRAMS if not path.name.startswith("plain_")]


@pytest.mark.parametrize("program", AGENTS, ids=lambda path: path.name)
def test_example_has_usage_text(program: Path) -> None:
    completed = subprocess.run(
        [sys.executable, str(program), "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )

    assert "usage: " in completed.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_example_is_short(program: Path) -> None:
    assert len(program.read_text().splitlines()) <= LINES_MAX


def test_examples_are_listed_in_readme() -> None:
    listed = (EXAMPLES / "README.md").read_text()

    assert [path.name for path in PROGRAMS if f"({path.relative_to(EXAMPLES)})" not in listed] == []
