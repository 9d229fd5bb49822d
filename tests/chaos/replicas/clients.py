"""The clients of `tests/chaos/crash`, spread over the replicas with failover.

A command without a response is repeated with the same idempotency key at the next replica. Two
replicas may therefore execute the same command at the same time.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.crash.clients import ClientPool
from tests.e2e.service.replicas import Replica

CLIENTS = 10


class ScatteredClientPool(ClientPool):
    pause_seconds = 0.02
    response_seconds_max = 1.5  # Longer than any response takes, shorter than a replica is frozen.

    def __init__(self, directory: Path, seed: int, replicas: Sequence[Replica]) -> None:
        super().__init__(directory, replicas[0].api_key, seed, clients=CLIENTS)
        self._replicas = replicas

    def address(self, client: int, attempt: int) -> str:
        return self._replicas[(client + attempt) % len(self._replicas)].url
