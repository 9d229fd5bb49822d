"""The page for Prometheus says what was counted, in its format, and names nobody."""

import os
from pathlib import Path

import pytest

from quorate.domain.coordination.leases import AcquireLease
from quorate.eventlog.envelopes import Accepted
from quorate.server import http_protocol, metrics
from quorate.server.metric_pages import STALE_SECONDS, SharedPages
from tests.unit.server.metrics_page import Watched, families, labelled, samples
from tests.unit.support.scenario import acquire


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_request_is_counted_by_its_outcome_and_its_time(watched: Watched) -> None:
    tally = watched.tallies.of("http", "acquireLease")
    tally.count("ok", 0.004)
    tally.count("lease_conflict", 0.2)
    tally.count("unavailable", 70.0)
    found = watched.samples()

    where = {"transport": "http", "operation": "acquireLease"}
    for outcome, status in (("ok", "200"), ("lease_conflict", "409"), ("unavailable", "503")):
        key = labelled("quorate_requests_total", **where, outcome=outcome, status=status)
        assert found[key] == 1
    at_most = {
        bound: found[labelled("quorate_request_seconds_bucket", **where, le=bound)]
        for bound in ("0.0025", "0.005", "0.25", "60.0", "+Inf")
    }
    assert list(at_most.values()) == [0, 1, 2, 2, 3]
    assert found[labelled("quorate_request_seconds_sum", **where)] == pytest.approx(70.204)


def test_a_stream_is_counted_and_not_timed(watched: Watched) -> None:
    watched.tallies.of("http", "streamEvents", timed=False).count("ok", 3_600.0)

    assert not any(name.startswith("quorate_request_seconds") for name, _ in watched.samples())


def test_what_could_not_be_read_is_an_operation_of_its_own(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(http_protocol.REFUSED, "method_not_allowed", 2)
    watched.tallies.of("http").count("method_not_allowed", 0.001)
    found = watched.samples()

    how = {"transport": "http", "outcome": "method_not_allowed", "status": "405"}
    assert found[labelled("quorate_requests_total", operation="unread", **how)] == 2
    assert found[labelled("quorate_requests_total", operation="none", **how)] == 1


def test_commands_are_there_before_the_first_one(watched: Watched) -> None:
    key = labelled("quorate_commands_total", command=AcquireLease.__name__, outcome="done")
    assert watched.samples()[key] == 0

    watched.now += metrics.PAGE_SECONDS
    watched.door.tally.answered(acquire("ann"), Accepted(body=b"", sequence=1))

    assert watched.samples()[key] == 1


def test_only_the_leader_says_how_far_the_relay_is(watched: Watched) -> None:
    led = watched.samples()
    watched.now += metrics.PAGE_SECONDS
    watched.push.lag = watched.push.mirror_state = None
    followed = watched.samples()

    assert led[labelled("quorate_relay_lag_events")] == 2
    assert led[labelled("quorate_mirror_state", state="following")] == 1
    assert led[labelled("quorate_mirror_state", state="stopped")] == 0
    told = {name for name, _ in followed}
    assert not told & {"quorate_relay_lag_events", "quorate_mirror_state"}


def test_whoever_asks_at_once_again_gets_the_same_page(watched: Watched) -> None:
    first = watched.metrics.page()
    watched.door.damage = "a hash does not fit"

    assert watched.metrics.page() is first
    watched.now += metrics.PAGE_SECONDS
    assert watched.samples()[labelled("quorate_log_damaged")] == 1


def test_places_that_are_taken_are_counted(watched: Watched) -> None:
    with watched.tails.log("acme", "k1"), watched.tails.notifications("acme", "ann", "k2"):
        assert watched.samples()[labelled("quorate_waiting_callers")] == 2


def test_every_family_says_what_it_is(watched: Watched) -> None:
    for family in families(watched.metrics.page().decode()):
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}


# -- Several workers -------------------------------------------------------------


def test_any_worker_shows_the_numbers_of_all(watched: Watched, tmp_path: Path) -> None:
    other = Watched()
    other.tallies.of("http", "heartbeat").count("ok", 0.001)
    watched.tallies.of("http", "heartbeat").count("ok", 0.001)
    pages = [
        SharedPages(tmp_path, one.metrics.page, name)
        for name, one in (("11", watched), ("12", other))
    ]
    for each in pages:
        each.write()
    other.now += metrics.PAGE_SECONDS
    other.tallies.of("http", "heartbeat").count("ok", 0.001)
    found = samples(pages[1].page().decode())

    how = {"transport": "http", "operation": "heartbeat", "outcome": "ok", "status": "200"}
    assert found[labelled("quorate_requests_total", **how, worker="11")] == 1
    assert found[labelled("quorate_requests_total", **how, worker="12")] == 2, "its own is of now"


def test_a_worker_that_is_gone_is_forgotten(watched: Watched, tmp_path: Path) -> None:
    SharedPages(tmp_path, Watched().metrics.page, "11").write()
    (left,) = tmp_path.iterdir()
    before = left.stat().st_mtime - STALE_SECONDS - 1
    os.utime(left, (before, before))

    page = SharedPages(tmp_path, watched.metrics.page, "12").page().decode()

    assert 'worker="12"' in page
    assert 'worker="11"' not in page
    assert not left.exists()
