"""kill -9 of everything at any moment: what was acknowledged is there, and service resumes.

E1, E3, E4 and E5 of the properties: durable, no phantoms, all or nothing, in order. The quick run
has QUICK_ROUNDS crashes; QUORATE_CRASH_ROUNDS=100 asks for more, and QUORATE_CRASH_SEED for others.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.crash import acknowledging_early
from tests.chaos.crash.log_checker import inquest
from tests.chaos.crash.rounds import Rounds
from tests.e2e.service import service_process
from tests.support.paths import ROOT

QUICK_ROUNDS = 4
SECONDS_PER_ROUND_MAX = 20
RESTART_SECONDS_MAX = 5.0
ROUNDS = int(os.environ.get("QUORATE_CRASH_ROUNDS", QUICK_ROUNDS))
SEED = int(os.environ.get("QUORATE_CRASH_SEED", "1"))
BRIEF_ROUNDS = 3


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND_MAX)
async def test_what_was_acknowledged_survives_every_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = await Rounds(tmp_path, SEED).go(ROUNDS)
    with capsys.disabled():
        print(f"\n{left.figures()}")  # noqa: T201 - the figures are worth knowing.

    assert inquest(left.answers, left.events)[:10] == []
    assert left.differences == 0, "rebuild --check does not agree"
    assert max(left.restart_seconds) <= RESTART_SECONDS_MAX
    assert len(left.restart_seconds) == ROUNDS


async def test_a_service_that_answers_before_it_commits_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else the test above would prove nothing."""
    real = service_process.command

    def early(data_dir: Path, *options: str) -> list[str]:
        _, _, _, *serve = real(data_dir, *options)
        return [sys.executable, "-m", acknowledging_early.__name__, *serve]

    monkeypatch.setattr(service_process, "command", early)
    monkeypatch.chdir(ROOT)
    left = await Rounds(tmp_path, SEED).go(BRIEF_ROUNDS)

    findings = inquest(left.answers, left.events)
    assert any("is not in the log" in finding for finding in findings)
