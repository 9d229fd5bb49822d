"""The numbers of several workers on one page: they share a port, and nobody can ask one of them.

* Each writes its own page into a folder, every WRITE_SECONDS. Whoever is asked shows its own as it
  is now and the others' as they were written, each with its process as the label ``worker``.
* Nothing is summed up here. A worker that replaces another begins at 0 under a label of its own,
  so Prometheus takes neither for the other.
* A page that was not written for STALE_SECONDS is that of a worker which is gone.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from quorate.server.metrics import Page

WRITE_SECONDS = 2.0
STALE_SECONDS = 10.0
WORKER = "worker"
_SUFFIX = ".prom"


class SharedPages(Collector):
    """``page`` is this worker's own; ``name`` tells it from the others."""

    def __init__(self, folder: Path, page: Callable[[], bytes], name: str | None = None) -> None:
        self._folder = folder
        self._own_page = page
        self._name = name or str(os.getpid())
        registry = CollectorRegistry()
        registry.register(self)
        self.page = Page(registry)  # Of all workers.

    async def run(self) -> NoReturn:
        """Ends by being cancelled, and then leaves nothing behind."""
        self._folder.mkdir(exist_ok=True)
        try:
            while True:
                self.write()
                await asyncio.sleep(WRITE_SECONDS)
        finally:
            self._path.unlink(missing_ok=True)

    def write(self) -> None:
        partial = self._path.with_suffix(".partial")
        with suppress(OSError):  # A disk that is full is told of by others.
            partial.write_bytes(self._own_page())
            partial.replace(self._path)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for worker, page in self._pages().items():
            for family in text_string_to_metric_families(page):
                together = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                together.samples += [_of(worker, sample) for sample in family.samples]
        yield from families.values()

    def _pages(self) -> Mapping[str, str]:
        found = {self._name: self._own_page().decode()}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with suppress(OSError):  # It ended while we looked.
                if path.stem == self._name:
                    continue
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()
                else:
                    found[path.stem] = path.read_text()
        return found

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._name}{_SUFFIX}"


def _of(worker: str, sample: Sample) -> Sample:
    return sample._replace(labels={**sample.labels, WORKER: worker})
