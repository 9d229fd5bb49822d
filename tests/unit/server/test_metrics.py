"""The metrics page contains the counted values in the Prometheus format, without client names."""

import pytest

from quorate.domain.coordination.lease_grants import AcquireLease
from quorate.eventlog.envelopes import Accepted
from quorate.server import connection_rejections, metrics
from tests.unit.server.metrics_page import Watched, families, labelled
from tests.unit.support.sample_commands import acquire


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_request_is_counted_by_outcome_and_duration(watched: Watched) -> None:
    operation = watched.request_metrics.of("http", "acquireLease")
    operation.count("ok", 0.004)
    operation.count("lease_conflict", 0.2)
    operation.count("unavailable", 70.0)
    found = watched.samples()

    labels = {"transport": "http", "operation": "acquireLease"}
    for outcome, status in (("ok", "200"), ("lease_conflict", "409"), ("unavailable", "503")):
        key = labelled("quorate_requests_total", **labels, outcome=outcome, status=status)
        assert found[key] == 1
    at_most = {
        bound: found[labelled("quorate_request_seconds_bucket", **labels, le=bound)]
        for bound in ("0.0025", "0.005", "0.25", "60.0", "+Inf")
    }
    assert list(at_most.values()) == [0, 1, 2, 2, 3]
    assert found[labelled("quorate_request_seconds_sum", **labels)] == pytest.approx(70.204)


def test_stream_is_counted_without_a_duration(watched: Watched) -> None:
    watched.request_metrics.of("http", "streamEvents", timed=False).count("ok", 3_600.0)

    assert not any(name.startswith("quorate_request_seconds") for name, _ in watched.samples())


def test_unreadable_request_has_its_own_operation_label(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection_rejections.REJECTED, "method_not_allowed", 2)
    watched.request_metrics.of("http").count("method_not_allowed", 0.001)
    found = watched.samples()

    labels = {"transport": "http", "outcome": "method_not_allowed", "status": "405"}
    assert found[labelled("quorate_requests_total", operation="unread", **labels)] == 2
    assert found[labelled("quorate_requests_total", operation="none", **labels)] == 1


def test_command_counters_start_at_zero(watched: Watched) -> None:
    key = labelled("quorate_commands_total", command=AcquireLease.__name__, outcome="done")
    assert watched.samples()[key] == 0

    watched.now += metrics.PAGE_SECONDS
    watched.command_bus.metrics.record_result(acquire("ann"), Accepted(body=b"", sequence=1))

    assert watched.samples()[key] == 1


def test_metrics_of_the_leader_are_shown_by_it_only(watched: Watched) -> None:
    on_leader = watched.samples()
    watched.now += metrics.PAGE_SECONDS
    watched.nats_service.lag = watched.nats_service.mirror_state = watched.followers.lag = None
    on_follower = watched.samples()

    assert on_leader[labelled("quorate_relay_lag_events")] == 2
    assert on_leader[labelled("quorate_history_lag_events")] == 3
    assert on_leader[labelled("quorate_mirror_state", state="following")] == 1
    assert on_leader[labelled("quorate_mirror_state", state="stopped")] == 0
    names = {name for name, _ in on_follower}
    assert not names & metrics.LEADER_METRICS


def test_page_is_cached_for_a_short_time(watched: Watched) -> None:
    first = watched.metrics.page()
    watched.command_bus.damage = "a hash does not fit"

    assert watched.metrics.page() is first
    watched.now += metrics.PAGE_SECONDS
    assert watched.samples()[labelled("quorate_log_corrupted")] == 1


def test_open_streams_are_counted(watched: Watched) -> None:
    with (
        watched.subscriptions.subscribe_to_log("acme", "k1"),
        watched.subscriptions.subscribe_to_notifications("acme", "ann", "k2"),
    ):
        assert watched.samples()[labelled("quorate_open_streams")] == 2


def test_every_family_has_help_text_and_type(watched: Watched) -> None:
    for family in families(watched.metrics.page().decode()):
        assert family.documentation
        assert family.type in {"counter", "gauge", "histogram"}


def test_request_without_a_duration_is_counted_only(watched: Watched) -> None:
    watched.request_metrics.of("nats", "heartbeat").count("unavailable")
    found = watched.samples()

    labels = {"transport": "nats", "operation": "heartbeat"}
    assert found[labelled("quorate_requests_total", **labels, outcome="unavailable", status="503")]
    assert labelled("quorate_request_seconds_count", **labels) not in found


def test_services_in_one_process_count_separately(watched: Watched) -> None:
    other = Watched()
    other.request_metrics.of("http", "heartbeat").count("ok", 0.001)

    assert not [name for name, labels in watched.samples() if ("operation", "heartbeat") in labels]
