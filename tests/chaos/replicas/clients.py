"""The clients of `tests/chaos/crash`, who ask any replica, and another one when one does not answer.

A command that was not answered is asked again with the same idempotency key, of the next replica:
so the same command may well be under way at two of them.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.crash.clients import Crowd
from tests.e2e.service.replicas import Replica

CLIENTS = 10


class ScatteredCrowd(Crowd):
    pause_seconds = 0.02
    answer_seconds_max = 1.5  # Longer than any answer takes; shorter than a replica hangs.

    def __init__(self, folder: Path, seed: int, replicas: Sequence[Replica]) -> None:
        super().__init__(folder, replicas[0].api_key, seed, clients=CLIENTS)
        self._replicas = replicas

    def where(self, client: int, attempt: int) -> str:
        return self._replicas[(client + attempt) % len(self._replicas)].url
