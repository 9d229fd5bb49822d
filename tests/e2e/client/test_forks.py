"""In a child process everything of the SDK raises at once, and leaving it has no effect there."""

import os
import subprocess
import sys

import pytest

from tests.e2e.client.agent_fleet import Fleet
from tests.support.paths import ROOT

SECONDS_MAX = 60
PARENT = ["parent: the child ended with 7", "parent: holds the lease", "parent: left []"]


@pytest.mark.parametrize("case", ["exit", "raise", "leave", "connect", "async"])
async def test_child_uses_nothing_of_its_parent(fleet: Fleet, case: str) -> None:
    variables = {
        "QUORATE_URL": fleet.service.url,
        "QUORATE_API_KEY": await fleet.get_key("outreach"),
        "QUORATE_NATS_URL": fleet.nats_url,
    }
    program = [sys.executable, "-m", "tests.e2e.client.forking_program", case]
    done = subprocess.run(
        program,
        env=os.environ | variables,
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS_MAX,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()

    expected = {"leave": ["child: left"], "connect": ["child: 2"]}.get(case, [])
    assert lines == ["child: all raise", *expected, *PARENT], done.stderr
    assert done.returncode == 0, done.stderr
    assert len(await fleet.tenant.events("LeaseReleased")) == 1  # Only the parent released it.
    assert await fleet.tenant.leases() == []
