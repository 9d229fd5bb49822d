"""After kill -9 at any moment, acknowledged commands are in the log and the service restarts.

Covers E1, E3, E4 and E5 of the properties: durable, no phantoms, atomic, ordered. The quick run has
QUICK_ROUNDS crashes. QUORATE_CRASH_ROUNDS=100 runs more, and QUORATE_CRASH_SEED selects others.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.crash import early_acknowledgement
from tests.chaos.crash.log_checker import check_log
from tests.chaos.crash.rounds import ProcessRounds, Rounds, WriterRounds
from tests.e2e.service import service_process
from tests.support.paths import ROOT

QUICK_ROUNDS = 4
SECONDS_PER_ROUND_MAX = 20
RESTART_SECONDS_MAX = 30.0  # Finds a start that hangs; its duration depends on the machine.
ROUNDS = int(os.environ.get("QUORATE_CRASH_ROUNDS", QUICK_ROUNDS))
SEED = int(os.environ.get("QUORATE_CRASH_SEED", "1"))
BRIEF_ROUNDS = 5


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND_MAX)
@pytest.mark.parametrize("killed", [Rounds, ProcessRounds], ids=["service", "process"])
async def test_acknowledged_commands_survive_every_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], killed: type[Rounds]
) -> None:
    result = await killed(tmp_path, SEED).run(ROUNDS)
    with capsys.disabled():
        print(f"\n{result.figures()}")  # noqa: T201 - report the figures.

    assert result.commands
    assert check_log(result.commands, result.events)[:10] == []
    assert result.differences == 0, "rebuild --check finds differences"
    assert max(result.restart_seconds) <= RESTART_SECONDS_MAX
    assert len(result.restart_seconds) == ROUNDS


@pytest.mark.parametrize("killed", [Rounds, WriterRounds], ids=["service", "writer"])
async def test_checker_detects_a_response_before_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: type[Rounds]
) -> None:
    """Prove that the test above can fail."""
    real = service_process.command

    def early(data_dir: Path, *options: str) -> list[str]:
        _, _, _, *serve = real(data_dir, *options)
        return [sys.executable, "-m", early_acknowledgement.__name__, *serve]

    monkeypatch.setattr(service_process, "command", early)
    monkeypatch.chdir(ROOT)
    result = await killed(tmp_path, SEED).run(BRIEF_ROUNDS)

    findings = check_log(result.commands, result.events)
    assert any("is not in the log" in finding for finding in findings)
