"""Three replicas lose, duplicate and reorder nothing under faults of replicas and database.

One replica dies and one hangs while the database crashes. The quick run is one round with a short
freeze. QUORATE_REPLICA_ROUNDS=20 runs more, with freezes that exceed every timeout of the service.
QUORATE_REPLICA_SEED selects other moments.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.replicas import sequence_numbering
from tests.chaos.replicas.rounds import Rounds
from tests.support.postgres import PostgresServer

QUICK_ROUNDS = 1
QUICK_FREEZE_SECONDS, LONG_FREEZE_SECONDS = 2.5, 10.0
SECONDS_PER_ROUND_MAX = 60
ROUNDS = int(os.environ.get("QUORATE_REPLICA_ROUNDS", QUICK_ROUNDS))
SEED = int(os.environ.get("QUORATE_REPLICA_SEED", "1"))
CONTROL_ATTEMPTS_MAX = 3
BRIEF_SECONDS = 1.5


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A dedicated server, because the test crashes it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND_MAX)
async def test_acknowledged_commands_are_kept_and_received_in_order(
    tmp_path: Path, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen_seconds = QUICK_FREEZE_SECONDS if ROUNDS == QUICK_ROUNDS else LONG_FREEZE_SECONDS
    result = await Rounds(tmp_path, server, SEED, frozen_seconds=frozen_seconds).run(ROUNDS)
    with capsys.disabled():
        print(f"\n{result.figures()}")  # noqa: T201 - report the figures.

    assert result.findings()[:10] == []
    assert len(result.recovery_seconds) == ROUNDS
    assert len(result.log) > len(result.recovery_seconds)


async def test_checker_detects_numbers_from_a_sequence(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Prove that the test above can fail. Transactions overlap by chance, so it has attempts."""
    for attempt in range(CONTROL_ATTEMPTS_MAX):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        rounds = Rounds(
            folder, postgres, SEED, wait_seconds_max=1.0, program=sequence_numbering.__name__
        )
        result = await rounds.run(0, seconds=BRIEF_SECONDS)
        findings = result.findings()
        found = [
            any(one.startswith(f"the {listener} listener received") for one in findings)
            for listener in ("stream", "poll")
        ]
        if result.damage is not None and all(found):
            return

    pytest.fail(f"the fault was not found; the last findings: {findings[:10]}")
