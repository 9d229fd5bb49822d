"""Daily quotas: what counts, for which owner, until when, and which commands go on."""

import pytest

from quorate.domain.shared.daily_quotas import (
    EVENT_BYTES,
    WHOLE_TENANT,
    DailyQuotaExceeded,
    DailyUsage,
    check,
)
from quorate.domain.shared.quotas import Quotas, with_limits
from quorate.domain.shared.timestamps import MILLISECONDS_PER_DAY, Timestamp
from tests.unit.support.specification import NOON, after

ANN, BOB, KEY = "agent_ann", "agent_bob", "0123456789abcdef"
FOUR_EVENTS = Quotas(events_per_day_per_agent=4)


def used(actor: str, events: int, data_bytes: int = 0, at: Timestamp = NOON) -> DailyUsage:
    usage = DailyUsage()
    for _ in range(events):
        usage.add(actor, data_bytes, at)
    return usage


def test_events_count_for_the_agent_and_its_tenant() -> None:
    usage = used(ANN, 2, data_bytes=10)

    for owner in (ANN, WHOLE_TENANT):
        assert usage.get(owner, NOON).events == 2
        assert usage.get(owner, NOON).bytes == 2 * (10 + EVENT_BYTES)
    assert usage.changed == {ANN, WHOLE_TENANT}


def test_events_of_a_tenant_key_count_for_the_tenant_only() -> None:
    usage = used(KEY, 2)

    assert usage.changed == {WHOLE_TENANT}
    check(usage, KEY, Quotas(events_per_day_per_agent=1), NOON, urgent=False)


def test_agent_is_rejected_when_its_events_are_used_up() -> None:
    check(used(ANN, 3), ANN, FOUR_EVENTS, NOON, urgent=False)
    with pytest.raises(DailyQuotaExceeded) as rejection:
        check(used(ANN, 4), ANN, FOUR_EVENTS, NOON, urgent=False)

    assert rejection.value.quota == "events_per_day_per_agent"
    assert rejection.value.limit == 4
    assert rejection.value.resets_at == after(hours=12)
    assert rejection.value.retry_after_seconds == 12 * 3_600


def test_retry_after_is_rounded_up_to_a_whole_second() -> None:
    with pytest.raises(DailyQuotaExceeded) as rejection:
        check(used(ANN, 4), ANN, FOUR_EVENTS, after(hours=11, milliseconds=1), urgent=False)

    assert rejection.value.retry_after_seconds == 3_600


def test_other_agents_are_not_rejected() -> None:
    check(used(ANN, 4), BOB, FOUR_EVENTS, NOON, urgent=False)


@pytest.mark.parametrize(
    ("quotas", "quota"),
    [
        (Quotas(bytes_per_day_per_agent=EVENT_BYTES), "bytes_per_day_per_agent"),
        (Quotas(bytes_per_day=EVENT_BYTES), "bytes_per_day"),
        (Quotas(events_per_day=1), "events_per_day"),
    ],
)
def test_each_quota_rejects(quotas: Quotas, quota: str) -> None:
    with pytest.raises(DailyQuotaExceeded) as rejection:
        check(used(ANN, 1), ANN, quotas, NOON, urgent=False)

    assert rejection.value.quota == quota


def test_urgent_commands_go_on_until_a_quarter_above_the_quota() -> None:
    check(used(ANN, 4), ANN, FOUR_EVENTS, NOON, urgent=True)
    with pytest.raises(DailyQuotaExceeded):
        check(used(ANN, 5), ANN, FOUR_EVENTS, NOON, urgent=True)


def test_use_begins_anew_at_midnight_utc() -> None:
    usage = used(ANN, 4)
    last = after(hours=12, milliseconds=-1)
    midnight = after(hours=12)
    assert midnight % MILLISECONDS_PER_DAY == 0

    with pytest.raises(DailyQuotaExceeded):
        check(usage, ANN, FOUR_EVENTS, last, urgent=False)
    check(usage, ANN, FOUR_EVENTS, midnight, urgent=False)
    usage.add(ANN, 0, midnight)
    assert usage.get(ANN, midnight).events == 1


def test_limits_of_a_tenant_replace_those_of_the_service() -> None:
    service = Quotas(agents=3, keys=4, events_per_day=5)

    own = with_limits(service, Quotas(keys=9, events_per_day=0))
    assert own == Quotas(agents=3, keys=9, events_per_day=None)
    assert with_limits(service, Quotas()) is service
