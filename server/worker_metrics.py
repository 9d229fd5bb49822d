"""Metrics of several workers on one page, because they share a port.

* The workers use the multiprocess mode of prometheus-client: each writes its values to files in a
  directory, and the worker that is asked for the page reads the files of all.
* Counters and histograms are added up. The files of a worker that has ended stay until the next
  start of the service, so that no sum ever decreases.
* A gauge has a mode, for example the maximum of all workers. The values of a worker that has ended
  are removed.
* The library chooses this mode when it is imported. The parent therefore sets the variable of the
  environment before it starts a worker.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.samples import Sample

MEMORY = Path("/dev/shm")  # noqa: S108 - the directory in it has a mode of its own.
NAME_LENGTH = 16
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Memory is added up. File descriptors and their limit are those of the worker that has most open,
# and the start is that of the youngest worker.
_MODES: Mapping[str, Literal["livesum", "livemax"]] = {
    "process_virtual_memory_bytes": "livesum",
    "process_resident_memory_bytes": "livesum",
}


def create_directory(data_dir: Path, memory: Path = MEMORY) -> Path:
    """Create an empty directory for what the workers of a data directory share; return its path.

    It is in memory where the system has such a file system. The metrics are mapped files, and a
    process that writes to one on a full disk would be killed.
    """
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:NAME_LENGTH]
    inside = data_dir / "workers"
    for directory in (memory / f"quorate-{os.getuid()}-{name}", inside):
        try:
            prepare_directory(directory)
        except OSError:
            if directory == inside:
                raise
        else:
            break
    return directory


def prepare_directory(directory: Path) -> None:
    """Empty the directory, and let the processes that start from now on write to it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    os.environ[VARIABLE] = str(directory)


def open_directory(directory: Path) -> CollectorRegistry:
    """Return a registry with the metrics of all workers that use the directory."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    return registry


def remove_worker(directory: Path, pid: int) -> None:
    """Remove the gauges of a worker that has ended."""
    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]


class ProcessMetrics:
    """``process_*`` and ``python_gc_*`` of a worker.

    The collectors of the library have no multiprocess mode, so their values are copied.
    """

    def __init__(self) -> None:
        self._source = CollectorRegistry()
        ProcessCollector(registry=self._source)
        GCCollector(registry=self._source)
        self._metrics: dict[str, Counter | Gauge] = {}
        self._counted: dict[tuple[str, ...], float] = {}

    def refresh(self) -> None:
        for family in self._source.collect():
            for sample in family.samples:
                self._copy(family, sample)

    def _copy(self, family: Metric, sample: Sample) -> None:
        metric = self._metrics.get(family.name) or self._create(family, sample)
        bound = metric.labels(**sample.labels) if sample.labels else metric
        if isinstance(bound, Gauge):
            bound.set(sample.value)
        else:
            key = family.name, *sample.labels.values()
            bound.inc(sample.value - self._counted.get(key, 0.0))
            self._counted[key] = sample.value

    def _create(self, family: Metric, sample: Sample) -> Counter | Gauge:
        name, documentation, labels = family.name, family.documentation, tuple(sample.labels)
        created: Counter | Gauge
        if family.type == "counter":
            created = Counter(name, documentation, labels, registry=None)
        else:
            mode = _MODES.get(name, "livemax")
            created = Gauge(name, documentation, labels, registry=None, multiprocess_mode=mode)
        self._metrics[name] = created
        return created
