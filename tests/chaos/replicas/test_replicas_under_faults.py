"""Three replicas, of which one dies and one hangs while the database crashes: nothing is lost, told
twice, or told in another order to anybody.

The quick run is one round with a short freeze; QUORATE_REPLICA_ROUNDS=20 asks for more, with
freezes that outlast every patience of the service, and QUORATE_REPLICA_SEED for other moments.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.replicas import numbering_by_sequence
from tests.chaos.replicas.rounds import Rounds
from tests.support.postgres import PostgresServer

QUICK_ROUNDS = 1
QUICK_FREEZE_SECONDS, LONG_FREEZE_SECONDS = 2.5, 10.0
SECONDS_PER_ROUND_MAX = 60
ROUNDS = int(os.environ.get("QUORATE_REPLICA_ROUNDS", QUICK_ROUNDS))
SEED = int(os.environ.get("QUORATE_REPLICA_SEED", "1"))
BRIEF_SECONDS = 1.5


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of its own: it is about to crash."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.timeout(60 + ROUNDS * SECONDS_PER_ROUND_MAX)
async def test_what_was_acknowledged_is_there_and_all_hear_of_it_in_order(
    tmp_path: Path, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen_seconds = QUICK_FREEZE_SECONDS if ROUNDS == QUICK_ROUNDS else LONG_FREEZE_SECONDS
    left = await Rounds(tmp_path, server, SEED, frozen_seconds=frozen_seconds).go(ROUNDS)
    with capsys.disabled():
        print(f"\n{left.figures()}")  # noqa: T201 - the figures are worth knowing.

    assert left.findings()[:10] == []
    assert len(left.recovery_seconds) == ROUNDS
    assert len(left.log) > len(left.recovery_seconds)


async def test_numbers_from_a_sequence_are_found_out(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Or else the test above would prove nothing."""
    rounds = Rounds(
        tmp_path, postgres, SEED, patience_seconds=1.0, program=numbering_by_sequence.__name__
    )
    left = await rounds.go(0, seconds=BRIEF_SECONDS)

    findings = left.findings()
    assert left.damage is not None
    assert any(finding.startswith("who follows heard") for finding in findings), findings[:10]
    assert any(finding.startswith("who polls heard") for finding in findings), findings[:10]
