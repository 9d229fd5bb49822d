"""Metrics of several workers on one page, because they share a port.

* Each worker writes its page to a directory every WRITE_SECONDS. The worker that is scraped shows
  its current page and the written pages of the others. The label ``worker`` is the process id.
* Nothing is added up. A replacement worker starts at 0 under its own label, so Prometheus never
  mixes the two.
* A page that is older than STALE_SECONDS belongs to a worker that has ended.
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
    """``page`` is the page of this worker, and ``name`` its label."""

    def __init__(self, directory: Path, page: Callable[[], bytes], name: str | None = None) -> None:
        self._directory = directory
        self._own_page = page
        self._name = name or str(os.getpid())
        registry = CollectorRegistry()
        registry.register(self)
        self.page = Page(registry)  # The page of all workers.

    async def run(self) -> NoReturn:
        """Write the page until cancelled, then remove it."""
        self._directory.mkdir(exist_ok=True)
        try:
            while True:
                self.write()
                await asyncio.sleep(WRITE_SECONDS)
        finally:
            self._path.unlink(missing_ok=True)

    def write(self) -> None:
        partial = self._path.with_suffix(".partial")
        with suppress(OSError):  # Other components report a full disk.
            partial.write_bytes(self._own_page())
            partial.replace(self._path)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for worker, page in self._pages().items():
            for family in text_string_to_metric_families(page):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                merged.samples += [_labelled(worker, sample) for sample in family.samples]
        yield from families.values()

    def _pages(self) -> Mapping[str, str]:
        found = {self._name: self._own_page().decode()}
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            with suppress(OSError):  # The worker ended and removed its page.
                if path.stem == self._name:
                    continue
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()
                else:
                    found[path.stem] = path.read_text()
        return found

    @property
    def _path(self) -> Path:
        return self._directory / f"{self._name}{_SUFFIX}"


def _labelled(worker: str, sample: Sample) -> Sample:
    return sample._replace(labels={**sample.labels, WORKER: worker})
