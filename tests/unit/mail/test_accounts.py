"""Sending limits, reputation, freezes and policies of mail accounts."""

from typing import Any

import pytest

from quorate.domain.mail.accounts import (
    BAD,
    GOOD,
    REPUTATION_OUTCOMES_MIN,
    REPUTATION_WINDOW,
    MailAccount,
    MailPolicy,
    MailPolicySet,
    MailSendingFrozen,
    MailSendingThawed,
    SendingLimitReached,
    has_lost_reputation,
    sending_use,
    with_outcome,
)
from quorate.domain.mail.delivery_attempts import RecordComplaint, RecordRelayed
from quorate.domain.mail.settings import MailSettings, SendingLimit, SendingLimits
from quorate.domain.shared.timestamps import MILLISECONDS_PER_DAY, MILLISECONDS_PER_HOUR, Timestamp
from tests.unit.support.sample_commands import id_of
from tests.unit.support.sample_mail import (
    DOMAIN,
    KIM_MAIL,
    accept_mail,
    account_in,
    agents_with_mail,
    fail,
    freeze,
    kinds,
    mail,
    of_delivery,
    set_tier,
    statuses,
    thaw,
)
from tests.unit.support.specification import NOON, Outcome, Scenario, after

LIMITS = SendingLimits(
    provisional=SendingLimit(hourly=1, daily=2),
    active=SendingLimit(hourly=2, daily=3),
    trusted=SendingLimit(hourly=10, daily=10),
)
LIMITED = MailSettings(domain=DOMAIN, has_relay=True, limits=LIMITS)
MIDNIGHT = Timestamp(-(-NOON // MILLISECONDS_PER_DAY) * MILLISECONDS_PER_DAY)


def send(scenario: Scenario, number: int, at: Timestamp, *to: str) -> Outcome:
    command = mail("ann", *(to or ("bob",)), message=f"msg_{number}", settings=LIMITED)
    return scenario.execute(command, at)


def limit_of(outcome: Outcome) -> dict[str, Any]:
    assert outcome.rejection is not None
    assert outcome.rejection.kind is SendingLimitReached
    assert outcome.decided == ()
    return dict(outcome.rejection.details)


# -- Limits --------------------------------------------------------------------


def test_hourly_limit_holds_until_the_hour_ends() -> None:
    scenario = agents_with_mail("ann", "bob")
    for number in (1, 2):
        assert send(scenario, number, NOON).rejection is None
    last = after(hours=1, milliseconds=-1)

    assert limit_of(send(scenario, 3, last)) == {
        "limit_type": "hourly",
        "hourly_used": 2,
        "hourly_limit": 2,
        "hourly_resets_at": "2026-03-01T13:00:00.000Z",
        "daily_used": 2,
        "daily_limit": 3,
        "daily_resets_at": "2026-03-02T00:00:00.000Z",
        "retry_after_seconds": 1,
    }
    assert send(scenario, 4, after(hours=1)).rejection is None


def test_daily_limit_holds_until_midnight() -> None:
    scenario = agents_with_mail("ann", "bob")
    for number in (1, 2, 3):
        assert send(scenario, number, after(hours=number)).rejection is None
    last = Timestamp(MIDNIGHT - 1)

    details = limit_of(send(scenario, 4, after(hours=3)))
    assert (details["limit_type"], details["hourly_used"], details["daily_used"]) == ("daily", 1, 3)
    assert details["retry_after_seconds"] == 9 * 3_600
    assert limit_of(send(scenario, 5, last))["retry_after_seconds"] == 1
    assert send(scenario, 6, MIDNIGHT).rejection is None


def test_message_counts_once_whatever_its_recipients() -> None:
    scenario = agents_with_mail("ann", "bob", "cat")
    send(scenario, 1, NOON, "bob", "cat", KIM_MAIL, "nobody")

    account = account_in(scenario, "ann")
    assert (account.hour_used, account.day_used, account.total_sent) == (1, 1, 1)


def test_rejected_message_does_not_count() -> None:
    scenario = agents_with_mail("ann", "bob")
    for number in range(5):
        send(scenario, number, NOON)
    assert account_in(scenario, "ann").total_sent == 2


def test_limits_are_of_each_agent_and_tier() -> None:
    scenario = agents_with_mail("ann", "bob")
    for number in (1, 2):
        send(scenario, number, NOON)
    other = mail("bob", "ann", message="msg_b", settings=LIMITED)
    assert scenario.execute(other, NOON).rejection is None

    scenario.execute(set_tier("ann", "trusted"), NOON)
    assert send(scenario, 4, NOON).rejection is None
    scenario.execute(set_tier("ann", "provisional"), NOON)
    assert limit_of(send(scenario, 5, NOON))["daily_limit"] == 2


def test_tier_that_is_set_again_records_nothing() -> None:
    scenario = agents_with_mail("ann")
    assert kinds(scenario.execute(set_tier("ann", "active"), NOON)) == []
    assert kinds(scenario.execute(set_tier("ann", "trusted"), NOON)) == ["MailTierSet"]
    assert kinds(scenario.execute(set_tier("ann", "trusted"), NOON)) == []


def test_account_has_default_values_before_its_first_mail() -> None:
    account = MailAccount(id="agent_ann", created_at=NOON)
    use = sending_use(account, NOON)
    assert (account.tier, account.reputation, account.frozen_at) == ("active", 1.0, None)
    assert account.policy == MailPolicy()
    assert (use.hourly, use.daily) == (0, 0)
    assert use.hourly_resets_at == NOON + MILLISECONDS_PER_HOUR


# -- Reputation ----------------------------------------------------------------


def with_outcomes(outcomes: str) -> MailAccount:
    account = MailAccount(id="agent_ann", created_at=NOON)
    for outcome in outcomes:
        account = with_outcome(account, outcome)
    return account


def test_reputation_is_the_share_of_good_outcomes() -> None:
    assert with_outcomes(GOOD * 3 + BAD).reputation == 0.75
    assert with_outcomes(BAD).reputation == 0.0


def test_reputation_covers_the_last_hundred_outcomes() -> None:
    account = with_outcomes(BAD * 60 + GOOD * REPUTATION_WINDOW)
    assert (len(account.outcomes), account.reputation) == (REPUTATION_WINDOW, 1.0)
    assert with_outcome(account, BAD).reputation == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("outcomes", "is_lost"),
    [
        (BAD * (REPUTATION_OUTCOMES_MIN - 1), False),
        (BAD * REPUTATION_OUTCOMES_MIN, True),
        ((GOOD + BAD) * 5, False),  # Exactly one half.
        (GOOD * 5 + BAD * 6, True),
    ],
)
def test_reputation_is_lost_below_one_half_of_ten_outcomes(outcomes: str, is_lost: bool) -> None:
    assert has_lost_reputation(with_outcomes(outcomes)) is is_lost


def bounce(scenario: Scenario, number: int) -> list[str]:
    scenario.execute(mail("ann", KIM_MAIL, message=f"msg_{number}"), NOON)
    return kinds(scenario.execute(fail(f"msg_{number}", permanent=True), NOON))


def test_tenth_bounce_freezes_the_sender_until_it_is_thawed() -> None:
    scenario = agents_with_mail("ann", "bob")
    for number in range(REPUTATION_OUTCOMES_MIN - 1):
        assert bounce(scenario, number) == ["MessageBounced"]
    assert bounce(scenario, 9) == ["MessageBounced", "MailSendingFrozen"]
    account = account_in(scenario, "ann")
    assert (account.frozen_reason, account.total_bounced) == ("reputation", 10)

    blocked = scenario.execute(mail("ann", KIM_MAIL, "bob", message="msg_f"), NOON)
    assert statuses(blocked) == {
        KIM_MAIL: ("blocked", "sending_frozen"),
        f"bob@{DOMAIN}": ("delivered", None),
    }
    scenario.execute(thaw("ann"), NOON)
    queued = scenario.execute(mail("ann", KIM_MAIL, message="msg_t"), NOON)
    assert statuses(queued) == {KIM_MAIL: ("queued", None)}
    assert account_in(scenario, "ann").reputation == 1.0
    assert bounce(scenario, 20) == ["MessageBounced"]  # It begins again.


def test_complaint_counts_like_a_bounce() -> None:
    scenario = agents_with_mail("ann")
    scenario.execute(mail("ann", KIM_MAIL), NOON)
    scenario.execute(of_delivery(RecordRelayed), NOON)
    assert account_in(scenario, "ann").outcomes == GOOD

    scenario.execute(of_delivery(RecordComplaint), NOON)
    account = account_in(scenario, "ann")
    assert (account.outcomes, account.total_complaints) == (GOOD + BAD, 1)


def test_frozen_sender_is_frozen_once() -> None:
    scenario = agents_with_mail("ann")
    event = MailSendingFrozen(agent_id=id_of("ann"), reason="operator")
    assert scenario.execute(freeze("ann"), NOON).events == (event,)
    assert scenario.execute(freeze("ann"), NOON).events == ()
    assert scenario.execute(thaw("ann"), NOON).events == (MailSendingThawed(agent_id=id_of("ann")),)
    assert scenario.execute(thaw("ann"), NOON).events == ()


# -- Policies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "accepts"),
    [
        (MailPolicy(), True),
        (MailPolicy(block=("ann",)), False),
        (MailPolicy(block=("bob",)), True),
        (MailPolicy(mode="closed", allow=("ann",)), False),
        (MailPolicy(mode="contacts_only"), False),
        (MailPolicy(mode="contacts_only", allow=("ann",)), True),
        (MailPolicy(mode="contacts_only", allow=("ann",), block=("ann",)), False),
    ],
)
def test_modes_of_a_policy(policy: MailPolicy, accepts: bool) -> None:
    assert policy.accepts("Ann") is accepts


@pytest.mark.parametrize("name", ["ann", id_of("ann"), f"ann@{DOMAIN}", f"{id_of('ann')}@{DOMAIN}"])
def test_policy_names_an_agent_in_each_of_its_forms(name: str) -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(accept_mail("bob", block=[name]), NOON)

    found = statuses(scenario.execute(mail("ann", "bob"), NOON))
    assert found == {f"bob@{DOMAIN}": ("blocked", "contact_blocked")}


def test_policy_that_is_set_again_records_nothing() -> None:
    scenario = agents_with_mail("ann")
    command = accept_mail("ann", "contacts_only", ["bob"], ["cat"])
    event = MailPolicySet(
        agent_id=id_of("ann"), mode="contacts_only", allow=("bob",), block=("cat",)
    )
    assert scenario.execute(command, NOON).events == (event,)
    assert scenario.execute(command, NOON).events == ()
    assert scenario.execute(accept_mail("ann"), NOON).result.policy == MailPolicy()
