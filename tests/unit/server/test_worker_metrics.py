"""The page of several workers has the same metrics as that of one process, added up."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import quorate
from quorate.domain.registry import COMMANDS
from quorate.eventlog.serialization import VERSIONS
from quorate.server import metrics, worker_metrics
from tests.e2e.service.service_process import SOURCES
from tests.support.paths import ROOT
from tests.unit.server.metrics_page import Watched, count_requests, labelled, samples

GOLDEN = sorted(
    [
        *(ROOT / "tests" / "golden" / "metrics.txt")
        .read_text()
        .replace("VERSION", quorate.__version__)
        .splitlines(),
        *(f'quorate_commands_total{{command="{name}",outcome="done"}}' for name in COMMANDS),
        *(f'quorate_events_total{{type="{name}"}}' for name in VERSIONS),
    ]
)
ACQUIRED = {"transport": "http", "operation": "acquireLease"}
# Counts in a worker, and shows the page. The library chooses its mode when it is imported.
WORKER = """
import sys
from pathlib import Path
from tests.unit.server.metrics_page import Watched, count_requests
watched = Watched(Path(sys.argv[1]))
watched.nats_service.connected = "--disconnected" not in sys.argv
if "--follower" in sys.argv:
    watched.nats_service.lag = watched.nats_service.mirror_state = watched.followers.lag = None
count_requests(watched)
print(watched.metrics.page().decode(), end="")
"""


def run_worker(directory: Path, *options: str) -> str:
    """Run a worker, and return its page; its files stay, as if it still ran."""
    ended = subprocess.run(
        [sys.executable, "-c", WORKER, str(directory), *options],
        env={worker_metrics.VARIABLE: str(directory), "PYTHONPATH": f"{SOURCES}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def without_values(page: str) -> list[str]:
    """Return help texts, types, names and labels; the order has no meaning."""
    lines = [line if line[0] == "#" else line.rpartition(" ")[0] for line in page.splitlines()]
    return sorted(lines)


def test_names_labels_and_help_texts_are_those_of_the_golden_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dashboards and alerts of operators use them: a change needs a note in CHANGELOG.md."""
    monkeypatch.setattr(metrics, "REJECTED", Counter())  # Other tests serve in this process.
    watched = Watched()
    count_requests(watched)

    assert without_values(watched.metrics.page().decode()) == GOLDEN


def test_page_of_a_worker_has_the_same_names_labels_and_help_texts(tmp_path: Path) -> None:
    assert without_values(run_worker(tmp_path)) == GOLDEN


def test_values_of_two_workers_become_one(tmp_path: Path) -> None:
    first = samples(run_worker(tmp_path, "--disconnected"))
    (counters,) = tmp_path.glob("counter_*.db")
    both = samples(run_worker(tmp_path))
    worker_metrics.remove_worker(tmp_path, int(counters.stem.removeprefix("counter_")))
    last = samples(run_worker(tmp_path, "--follower"))

    conflict = labelled(
        "quorate_requests_total", **ACQUIRED, outcome="lease_conflict", status="409"
    )
    bucket = labelled("quorate_request_seconds_bucket", **ACQUIRED, le="0.005")
    assert [page[conflict] for page in (first, both, last)] == [1, 2, 3], "of dead workers too"
    assert [page[bucket] for page in (first, both, last)] == [1, 2, 3]
    cpu = [page[labelled("process_cpu_seconds_total")] for page in (first, both, last)]
    assert 0 < cpu[0] < cpu[1] < cpu[2]
    connected = labelled("quorate_nats_connected")
    assert [page[connected] for page in (first, both, last)] == [0, 0, 1], "the worst worker"
    for name, value in (("connected_agents", 3), ("log_head", 7), ("open_streams_max", 2000)):
        assert {page[labelled(f"quorate_{name}")] for page in (first, both, last)} == {value}
    memory = labelled("process_resident_memory_bytes")
    assert both[memory] > 1.5 * first[memory]


def test_relay_metrics_are_those_of_the_worker_that_leads(tmp_path: Path) -> None:
    without_leader = samples(run_worker(tmp_path, "--follower"))
    with_leader = samples(run_worker(tmp_path))

    names = {name for name, _ in without_leader}
    assert not names & metrics.LEADER_METRICS
    assert with_leader[labelled("quorate_relay_lag_events")] == 2
    assert with_leader[labelled("quorate_mirror_state", state="following")] == 1
    assert with_leader[labelled("quorate_mirror_state", state="stopped")] == 0


def test_directory_is_emptied_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(worker_metrics.VARIABLE, "replaced by the call")
    directory = tmp_path / "workers"
    worker_metrics.prepare_directory(directory)
    (directory / "counter_1.db").touch()

    worker_metrics.prepare_directory(directory)

    assert list(directory.iterdir()) == []
    assert os.environ[worker_metrics.VARIABLE] == str(directory)


def test_directory_is_in_memory_where_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(worker_metrics.VARIABLE, "replaced by the call")
    memory = tmp_path / "memory"
    memory.mkdir()
    data_dir, other = tmp_path / "data", tmp_path / "other"
    data_dir.mkdir()
    first = worker_metrics.create_directory(data_dir, memory)
    (first / "old.db").write_bytes(b"")

    assert first.parent == memory
    assert worker_metrics.create_directory(data_dir, memory) == first
    assert list(first.iterdir()) == []
    assert first.stat().st_mode & 0o777 == 0o700
    assert worker_metrics.create_directory(other, memory) != first


def test_directory_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be removed: here it is a file, and a link to a directory elsewhere."""
    monkeypatch.setenv(worker_metrics.VARIABLE, "replaced by the call")
    data_dir, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for one in (data_dir, elsewhere):
        one.mkdir()
    name = worker_metrics.create_directory(data_dir, elsewhere).name
    memory = tmp_path / "memory"
    memory.mkdir()
    (memory / name).symlink_to(elsewhere)

    assert worker_metrics.create_directory(data_dir, memory) == data_dir / "workers"
    assert worker_metrics.create_directory(data_dir, tmp_path / "none") == data_dir / "workers"
