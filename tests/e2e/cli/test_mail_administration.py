"""`quorate mail` for operators, policies, and mail in exported logs."""

import json
from pathlib import Path
from typing import Any

import pytest

from quorate.cli.output.agent_names import Names
from quorate.cli.output.event_text import TEMPLATES, describe
from quorate.cli.output.mail_text import MAIL_TEMPLATES
from tests.e2e.cli.terminal import Terminal
from tests.e2e.cli.test_mail_commands import ANN, BOB, KIM, send
from tests.e2e.cli.test_shell_completion import complete
from tests.e2e.service.service_process import ServiceProcess

# -- Policies -----------------------------------------------------------------------


def test_policy_blocks_senders_that_it_does_not_allow(tenant: Terminal) -> None:
    policy = ("mail", "policy", "set", *BOB, "--mode", "contacts_only")

    tenant.run_json(*policy, "--allow", "Carl", "--block", KIM)
    blocked = tenant.run("mail", "send", *ANN, "--to", "bob", "--body", "x")
    shown = tenant.run("mail", "policy", "show", *BOB).stdout
    tenant.run_json(*policy, "--allow", "ann")

    assert blocked.exit_code == 3
    assert "policy" in blocked.stdout
    assert "contacts_only" in shown
    assert "carl" in shown
    assert send(tenant)


# -- Operators ----------------------------------------------------------------------


def test_frozen_agent_sends_no_mail_to_people(tenant: Terminal) -> None:
    tenant.run_json("mail", "freeze", "ann", "--detail", "review")
    frozen = tenant.run("mail", "send", *ANN, "--to", KIM, "--to", "bob", "--body", "x")

    thawed = tenant.run("mail", "thaw", "ann")

    assert frozen.exit_code == 3
    assert "frozen" in frozen.stdout
    assert "permitted" in thawed.stdout
    assert send(tenant, "--to", KIM)


def test_tier_changes_the_limits(tenant: Terminal) -> None:
    limits = [
        tenant.run_json("mail", "tier", "ann", tier)["rate_limits"]["hourly"]["limit"]
        for tier in ("provisional", "trusted")
    ]

    assert limits[0] < limits[1]


def test_admin_key_names_the_tenant_and_the_agent_id(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch, real: ServiceProcess
) -> None:
    ann = tenant.run_quiet("agents", "get", "ann")
    name = tenant.run_json("whoami")["tenantId"]
    monkeypatch.delenv("QUORATE_API_KEY")
    monkeypatch.setenv("QUORATE_ADMIN_KEY", real.admin_key)
    as_operator = ("--as-operator", "--tenant", name)

    assert tenant.run_json("mail", "freeze", ann, *as_operator)["sending_frozen"]
    assert not tenant.run_json("mail", "thaw", ann, *as_operator)["sending_frozen"]
    assert tenant.run("mail", "freeze", "ann", *as_operator).exit_code == 2
    assert tenant.run("mail", "freeze", ann, "--as-operator").exit_code == 2
    assert tenant.run_json("mail", "dead-letters", "list", *as_operator) == []


def test_held_mail_is_listed_and_is_no_dead_letter(tenant: Terminal) -> None:
    message = send(tenant, "--to", KIM)

    held = tenant.run_quiet("mail", "dead-letters", "list", "--held")
    retried = tenant.run("mail", "dead-letters", "retry", held)
    unknown = tenant.run("mail", "dead-letters", "drop", "msg_0.0")

    assert held.startswith(message)
    assert KIM in tenant.run("mail", "dead-letters", "list", "--held").stdout
    assert (retried.exit_code, unknown.exit_code) == (0, 5), "it waits for a relay anyway"
    assert tenant.run_json("mail", "dead-letters", "list") == []


def test_erased_body_is_gone_from_every_mailbox(tenant: Terminal) -> None:
    message = send(tenant, body="secret")

    assert tenant.run("mail", "erase", message).exit_code == 1, "it was not confirmed"
    assert tenant.run("mail", "erase", message[-8:], "--yes").exit_code == 2
    tenant.run_json("mail", "erase", message, "--yes", "--detail", "asked for it")

    for agent in (ANN, BOB):
        shown = tenant.run("mail", "read", message, *agent).stdout
        assert "secret" not in shown
        assert "was erased" in shown


def test_choices_are_completed() -> None:
    assert complete("mail", "policy", "set", "--mode", "") == ["open", "contacts_only", "closed"]
    assert complete("mail", "tier", "ann", "t") == ["trusted"]


# -- Event log ----------------------------------------------------------------------


def export_and_replay(tenant: Terminal, path: Path) -> Any:  # noqa: ANN401 - any JSON.
    assert tenant.run("events", "export", str(path)).exit_code == 0
    return tenant.run_json("replay", str(path))


def test_replay_prints_threads_and_deliveries(tenant: Terminal, tmp_path: Path) -> None:
    tenant.run_quiet("lease", "acquire", KIM, *BOB)
    result = tenant.run(
        *("mail", "send", *ANN, "--to", "bob", "--to", "zoe", "--to", KIM),
        *("--subject", "TASK:r-1", "--body", "not in the log", "--json"),
    )
    message = json.loads(result.stdout)["message_id"]
    tenant.run_json("mail", "ack", message, *BOB)
    tenant.run_quiet("mail", "reply", message, *BOB, "--kind", "RESULT", "--body", "done")

    replayed = export_and_replay(tenant, tmp_path / "log.jsonl")
    text = tenant.run("replay", str(tmp_path / "log.jsonl")).stdout

    (thread,) = replayed["threads"]
    first, second = thread["messages"]
    statuses = [(one["status"], one["reason"]) for one in first["recipients"]]
    assert thread["subject"] == "TASK:r-1"
    assert first["message_id"] == second["in_reply_to"] == message
    assert ("delivered", None) in statuses
    assert ("bounced", "no_such_agent") in statuses
    assert ("blocked", "lease_conflict") in statuses
    assert any(one["acked_at"] for one in first["recipients"])
    assert "acknowledged" in text
    assert "not in the log" not in (tmp_path / "log.jsonl").read_text() + text


def test_replayed_threads_equal_those_of_the_service(tenant: Terminal, tmp_path: Path) -> None:
    for subject in ("one", "two"):
        message = send(tenant, "--subject", subject, "--cc", KIM)
        tenant.run_quiet("mail", "reply", message, *BOB, "--body", "x")

    replayed = export_and_replay(tenant, tmp_path / "log.jsonl")

    assert len(replayed["threads"]) == 2
    for thread in replayed["threads"]:
        served = tenant.run_json("mail", "thread", thread["thread_id"], *ANN)
        assert thread["subject"] == served["subject"]
        assert thread["participant_addresses"] == served["participant_addresses"]
        for mine, its in zip(thread["messages"], served["messages"], strict=True):
            assert_same_fields(mine, its, without=frozenset({"recipients"}))
            for its_recipient in its.get("recipients", ()):  # The sender's message has them.
                address = its_recipient["address"]
                (replayed_one,) = [one for one in mine["recipients"] if one["address"] == address]
                assert_same_fields(replayed_one, its_recipient)


def assert_same_fields(mine: Any, its: Any, without: frozenset[str] = frozenset()) -> None:  # noqa: ANN401 - JSON.
    same = (mine.keys() & its.keys()) - without
    assert {name: mine[name] for name in same} == {name: its[name] for name in same}


def test_events_of_mail_are_listed_as_sentences(tenant: Terminal) -> None:
    send(tenant, "--subject", "Hi")

    shown = tenant.run("events", "list", "--type", "MessageSent").stdout

    assert "ann sent" in " ".join(shown.split())


# -- Sentences ----------------------------------------------------------------------

DELIVERY = {"deliveryId": "m.0", "messageId": "m", "agentId": "a", "address": KIM}
MARK = {"messageId": "m", "agentId": "b"}
SENTENCES = [
    ("MessageQueued", DELIVERY, f"mail of ann to {KIM} is queued"),
    ("MessageHeld", {**DELIVERY, "reason": "no_relay"}, "no SMTP relay is configured"),
    (
        "MessageBlocked",
        {
            **DELIVERY,
            "reason": "lease_conflict",
            "holderName": "bob",
            "expiresAt": "2026-03-01T12:30:00.000Z",
        },
        "blocked: bob holds the contact until 12:30:00",
    ),
    ("MessageBlocked", {**DELIVERY, "reason": "stale_fence"}, "the fencing token is stale"),
    ("MessageRefused", {**DELIVERY, "reason": "contact_blocked"}, "does not accept it"),
    ("MessageRelayed", {**DELIVERY, "attempts": 3}, "accepted by the SMTP relay after 3 attempts"),
    (
        "MessageDeferred",
        {**DELIVERY, "smtpCode": 450, "detail": "busy", "nextAttemptAt": "2026-03-01T12:30:00Z"},
        "next attempt at 12:30:00: \N{LEFT DOUBLE QUOTATION MARK}busy",
    ),
    ("MessageBounced", {**DELIVERY, "reason": "rejected", "smtpCode": 550}, "bounced (rejected)"),
    ("MessageDeadLettered", {**DELIVERY, "attempts": 40}, "dead letter after 40 attempts"),
    ("DeadLetterDropped", {**DELIVERY, "detail": "old"}, "dead letter dropped"),
    ("MessageCancelled", {**DELIVERY, "reason": "erased"}, "cancelled: its body was erased"),
    ("ComplaintReceived", DELIVERY, f"{KIM} reported mail of ann as spam"),
    ("MessageErased", {"messageId": "m", "reason": "retention"}, "its retention ended"),
    ("MessageRead", MARK, "bob read message m"),
    ("MessageStarred", {**MARK, "starred": False}, "bob removed the star of message m"),
    ("MailboxFreed", {**MARK, "bytes": 12}, "12 bytes of message m freed"),
    ("AcknowledgementReminded", {**MARK, "subject": "s"}, "bob was reminded"),
    ("AcknowledgementOverdue", MARK, "bob has not acknowledged message m in time"),
    ("MailPolicySet", {"agentId": "b", "mode": "closed", "allow": [], "block": ["x"]}, "1 blocked"),
    ("MailSendingFrozen", {"agentId": "a", "reason": "reputation"}, "its reputation is too low"),
    ("MailTierSet", {"agentId": "a", "tier": "trusted"}, "mail tier of ann: trusted"),
    ("message_status", {"status": "blocked", "message_id": "m", "address": KIM}, "blocked"),
    ("message_status", {"status": "ack_overdue", "message_id": "m", "by_agent_id": "b"}, "in time"),
    ("acknowledgement_due", {"message_id": "m", "from_address": KIM, "subject": "s"}, "waits for"),
]


@pytest.mark.parametrize(
    ("type_", "details", "expected"), SENTENCES, ids=[type_ for type_, _, _ in SENTENCES]
)
def test_mail_event_is_described(type_: str, details: dict[str, Any], expected: str) -> None:
    sentence = describe(type_, details, Names({"a": "ann", "b": "bob"}))

    assert expected in sentence
    assert not sentence.startswith(type_)


def test_mail_templates_are_part_of_all_templates() -> None:
    assert MAIL_TEMPLATES.items() <= TEMPLATES.items()
