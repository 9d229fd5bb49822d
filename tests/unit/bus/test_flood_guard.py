"""An agent that floods is reported once per pause, and its messages are dropped for a while."""

import pytest

from quorate.application.rate_limiter import UNBOUNDED, Rates
from quorate.bus import flood_guard
from quorate.bus.command_parser import Verdict
from quorate.bus.flood_guard import (
    BLOCKED_SECONDS,
    BURST_BYTES,
    BURST_MIN,
    FACTOR,
    MESSAGES_PER_SECOND_MIN,
    PAYLOADS_SHARE,
    REJECTIONS_BURST,
    REJECTIONS_PER_SECOND,
    REPEAT_SECONDS,
    FloodGuard,
)

RATE, BURST = 2_000.0, 4_000.0
RATES = Rates(per_key=RATE, burst_per_key=BURST, per_tenant=3 * RATE, burst_per_tenant=3 * BURST)
ANN, BOB = b"quorate.acme.cmd.ann.heartbeat", b"quorate.acme.cmd.bob.heartbeat"
EVE = b"quorate.globex.cmd.eve.heartbeat"
SMALL = 2


class Scenario:
    """A guard with a clock that the test sets."""

    def __init__(self, rates: Rates = RATES) -> None:
        self.now = 1_000.0
        self.floods: list[tuple[str, str, float]] = []
        self.guard = FloodGuard(
            rates, on_flood=lambda *flood: self.floods.append(flood), monotonic=lambda: self.now
        )

    def send(self, subject: bytes, count: int, size: int = SMALL) -> list[Verdict]:
        return [self.guard.judge(subject, size) for _ in range(count)]

    def send_for(self, subject: bytes, seconds: float, rate: float, size: int = SMALL) -> int:
        """Send at a steady rate; return how many messages passed."""
        passed = 0
        for _ in range(int(seconds * rate)):
            self.now += 1 / rate
            passed += self.guard.judge(subject, size) is Verdict.PASS
        return passed


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


def test_agent_within_its_bound_passes(scenario: Scenario) -> None:
    count = int(10 * FACTOR * RATE * 0.95)

    assert scenario.send_for(ANN, 10, FACTOR * RATE * 0.95) == pytest.approx(count, abs=1)
    assert scenario.floods == []


def test_agent_above_its_bound_is_reported_and_dropped(scenario: Scenario) -> None:
    verdicts = scenario.send(ANN, int(BURST) + 10)

    assert verdicts[: int(BURST)] == [Verdict.PASS] * int(BURST)
    assert verdicts[-5:] == [Verdict.DROP] * 5
    assert scenario.floods == [("acme", "ann", BLOCKED_SECONDS)]
    assert scenario.send(BOB, 1) == scenario.send(EVE, 1) == [Verdict.PASS]


def test_flood_is_reported_again_while_messages_arrive(scenario: Scenario) -> None:
    scenario.send(ANN, int(BURST) + 1)

    for _ in range(3):
        scenario.now += REPEAT_SECONDS
        scenario.send(ANN, 2)

    assert [seconds for _, _, seconds in scenario.floods] == [
        BLOCKED_SECONDS - number * REPEAT_SECONDS for number in range(4)
    ]


def test_agent_passes_again_after_the_pause(scenario: Scenario) -> None:
    scenario.send(ANN, int(BURST) + 1)
    scenario.now += BLOCKED_SECONDS - 0.1
    assert scenario.send(ANN, 1) == [Verdict.DROP]

    scenario.now += 0.2

    assert scenario.send(ANN, 1) == [Verdict.PASS]


def test_low_rate_limit_does_not_lower_the_bound_below_a_minimum() -> None:
    scenario = Scenario(Rates(per_key=1, burst_per_key=1))

    assert set(scenario.send(ANN, int(BURST_MIN))) == {Verdict.PASS}
    scenario.now += BLOCKED_SECONDS
    scenario.send_for(ANN, 10, 0.95 * MESSAGES_PER_SECOND_MIN)
    assert scenario.floods == []


def test_agent_without_rate_limit_is_bounded_by_bytes_alone() -> None:
    scenario = Scenario(UNBOUNDED)

    assert set(scenario.send(ANN, 100_000)) == {Verdict.PASS}
    scenario.send(ANN, 1, BURST_BYTES)
    assert len(scenario.floods) == 1


def test_payloads_beyond_a_share_of_the_bytes_are_omitted(scenario: Scenario) -> None:
    count = int(BURST_BYTES * PAYLOADS_SHARE / 50_000)

    verdicts = scenario.send(ANN, count + 1, 50_000)

    assert verdicts == [Verdict.PASS] * count + [Verdict.OMIT]
    scenario.now += 1
    assert scenario.send(ANN, 1, 50_000) == [Verdict.PASS]
    assert scenario.floods == []


def test_bytes_far_above_the_bound_are_a_flood(scenario: Scenario) -> None:
    scenario.send(ANN, BURST_BYTES // 50_000 + 1, 50_000)

    assert scenario.floods == [("acme", "ann", BLOCKED_SECONDS)]


def test_rejected_agent_gets_no_responses_beyond_their_rate(scenario: Scenario) -> None:
    scenario.send(ANN, 1)
    for _ in range(REJECTIONS_BURST):
        assert scenario.send(ANN, 1) == [Verdict.PASS]
        scenario.guard.record_rejection("acme", "ann")

    assert scenario.send(ANN, 1) == [Verdict.DROP]
    assert scenario.send(BOB, 1) == [Verdict.PASS]
    scenario.now += 2 / REJECTIONS_PER_SECOND
    assert scenario.send(ANN, 1) == [Verdict.PASS]
    assert scenario.floods == []


def test_agents_of_one_tenant_together_are_bounded(scenario: Scenario) -> None:
    agents = [b"quorate.acme.cmd.agent%d.heartbeat" % number for number in range(20)]
    rate = 20 * FACTOR * RATE * 0.9

    verdicts = []
    for number in range(int(rate * 3)):
        scenario.now += 1 / rate
        verdicts.append(scenario.guard.judge(agents[number % len(agents)], SMALL))

    assert Verdict.DROP in verdicts[: int(rate)]
    assert {agent for _, agent, _ in scenario.floods} == {f"agent{n}" for n in range(20)}
    assert scenario.send(EVE, 1) == [Verdict.PASS]


def test_quiet_agent_of_a_flooding_tenant_is_not_reported(scenario: Scenario) -> None:
    scenario.send(ANN, int(BURST))
    scenario.send(BOB, int(BURST))
    scenario.send(b"quorate.acme.cmd.carl.heartbeat", int(BURST))

    assert scenario.send(b"quorate.acme.cmd.dora.heartbeat", 10) == [Verdict.DROP] * 10
    assert scenario.floods == []


def test_messages_that_follow_a_dropped_one_count(scenario: Scenario) -> None:
    scenario.guard.drop(ANN, 2 * int(BURST), int(BURST) + 1)

    assert scenario.floods == [("acme", "ann", BLOCKED_SECONDS)]


def test_dropped_messages_are_counted_by_reason(scenario: Scenario) -> None:
    def counted() -> dict[str, float]:
        return {reason: one._value.get() for reason, one in scenario.guard._counters.items()}

    scenario.send(ANN, int(BURST) + 5)
    scenario.guard.end_turn()
    scenario.guard.end_turn()

    assert counted() == {"flood": 5, "over_rate": 0, "tenant": 0}


def test_table_of_senders_is_bounded(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flood_guard, "SENDERS_MAX", 3)
    for number in range(5):
        scenario.send(b"quorate.acme.cmd.agent%d.heartbeat" % number, 1)
    assert len(scenario.guard._agents) == 3

    scenario.now += 1
    assert scenario.send(ANN, 1) == [Verdict.PASS]
    assert len(scenario.guard._agents) == 1
