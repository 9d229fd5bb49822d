"""`quorate mail`: send, read, reply, mark; hostile text; exit codes."""

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from quorate.cli.output.errors import exit_code_of
from tests.e2e.cli.cli_process import start_cli, wait_until
from tests.e2e.cli.conftest import Run
from tests.e2e.cli.terminal import Terminal
from tests.e2e.service.service_process import ServiceProcess

ANN, BOB = ("--agent-name", "ann"), ("--agent-name", "bob")
KIM = "kim@example.com"
HOSTILE_LINE = "[bold]x[/bold] \u202eesrever :smile:"
HOSTILE_BODY = f"\x1b]0;owned\x07\x1b[2J{HOSTILE_LINE}\nFrom: eve\ttab\n"


def send(tenant: Terminal, *words: str, body: str = "text") -> str:
    """Send a message from `ann`, to `bob` unless the words name recipients; return its id."""
    to = () if "--to" in words else ("--to", "bob")
    return tenant.run_quiet("mail", "send", *ANN, *to, "--body", body, *words)


def read_inbox(tenant: Terminal, *words: str) -> list[dict[str, Any]]:
    page = tenant.run_json("mail", "inbox", *BOB, *words)
    return list(page["messages"])


def subjects(messages: list[dict[str, Any]]) -> list[str]:
    return [one["subject"] for one in messages]


# -- Send ---------------------------------------------------------------------------


def test_message_to_an_agent_name_is_delivered(tenant: Terminal) -> None:
    result = tenant.run("mail", "send", *ANN, "--to", "bob", "--subject", "Hi", "--body", "Hello")

    (message,) = read_inbox(tenant)
    address = tenant.run_quiet("mail", "account", *BOB)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Delivered: {address}.\n")
    assert message["message_id"] in result.stdout
    assert (message["subject"], message["body_text"]) == ("Hi", "Hello")
    assert message["to_addresses"] == [address]


def test_body_is_read_from_a_file_or_standard_input(
    tenant: Terminal, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "body.txt"
    file.write_text("from a file")
    sending = ("mail", "send", *ANN, "--to", "bob", "--subject", "s")

    assert run(*sending, "--body-file", file).exit_code == 0
    assert run(*sending, "--html-file", file, input="d\xefs".encode()).exit_code == 0
    assert run(*sending, input=b"\xff").exit_code == 2
    assert run(*sending, "--body", "x", "--body-file", file).exit_code == 2

    second, first = read_inbox(tenant)
    assert (first["body_text"], first["body_html"]) == ("from a file", None)
    assert (second["body_text"], second["body_html"]) == ("d\xefs", "from a file")


def test_idempotency_key_sends_once(tenant: Terminal) -> None:
    ids = {send(tenant, "--idempotency-key", "one") for _ in range(2)}

    assert len(ids) == len(read_inbox(tenant)) == 1


def test_mail_to_a_leased_contact_is_blocked_with_exit_code_3(tenant: Terminal) -> None:
    tenant.run_quiet("lease", "acquire", KIM, *BOB)
    sending = ("mail", "send", *ANN, "--to", KIM, "--to", "bob", "--body", "x")

    text, quiet = tenant.run(*sending), tenant.run(*sending, "--quiet")

    assert (text.exit_code, quiet.exit_code) == (3, 3)
    assert f"Blocked: {KIM}: another agent holds the contact." in text.stdout
    assert f"quorate lease get {KIM}" in text.stderr
    assert f"Blocked: {KIM}" in quiet.stderr
    assert len(read_inbox(tenant)) == 2, "the other recipient has both messages"


def test_mail_to_an_unknown_agent_bounces_with_exit_code_5(tenant: Terminal) -> None:
    result = tenant.run("mail", "send", *ANN, "--to", "zoe", "--body", "x")

    assert result.exit_code == 5
    assert "no agent has this address" in result.stdout


def test_stale_fence_is_blocked(tenant: Terminal) -> None:
    fences = []
    for agent in (ANN, BOB):
        lease = tenant.run_json("lease", "acquire", KIM, *agent)
        tenant.run_quiet("lease", "release", lease["id"])
        fences.append(str(lease["fence"]))
    sending = ("mail", "send", *ANN, "--to", KIM, "--body", "x", "--lease-fence")

    assert tenant.run(*sending, fences[0]).exit_code == 3
    assert "stale" in tenant.run(*sending, fences[0]).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "kim@"), "Invalid recipient address 'kim@'"),
        (("--to", "bob", "--subject", "x" * 257), "The subject is too long"),
        (tuple(word for n in range(11) for word in ("--to", f"a{n}@b.co")), "Too many"),
        (("--to", "bob", "--importance", "huge"), "--importance"),
    ],
    ids=["recipient", "subject", "recipients", "importance"],
)
def test_invalid_message_is_a_usage_error(
    tenant: Terminal, words: tuple[str, ...], message: str
) -> None:
    result = tenant.run("mail", "send", *ANN, "--body", "x", *words)

    assert result.exit_code == 2
    assert message in result.stderr


def test_exit_codes_of_mail_problems() -> None:
    assert exit_code_of("rate_limit_exceeded") == 7
    assert exit_code_of("message_not_found") == 5
    assert exit_code_of("recipient_invalid") == 2


# -- Read ---------------------------------------------------------------------------


def test_reading_marks_a_message_unless_it_is_kept_unread(tenant: Terminal) -> None:
    message = send(tenant, "--subject", "Hi", body="first\nsecond")

    kept = tenant.run("mail", "read", message, *BOB, "--keep-unread")
    assert kept.stdout.endswith(f"Message:   {message}\n\nfirst\nsecond\n")
    assert len(read_inbox(tenant, "--unread")) == 1

    assert tenant.run_json("mail", "read", message[-8:], *BOB)["read_at"] is not None
    assert read_inbox(tenant, "--unread") == []


def test_short_id_must_name_one_message(tenant: Terminal) -> None:
    send(tenant)

    unknown = tenant.run("mail", "read", "0000zzzz", *BOB)
    too_short = tenant.run("mail", "read", "ab", *BOB)

    assert (unknown.exit_code, too_short.exit_code) == (5, 2)
    assert "0000zzzz" in unknown.stderr


def test_inbox_is_filtered(tenant: Terminal) -> None:
    for subject in ("TASK:a-1 Start", "RESULT:a-1", "Lunch"):
        send(tenant, "--subject", subject)
    first = read_inbox(tenant)[-1]

    assert subjects(read_inbox(tenant, "--kind", "task")) == ["TASK:a-1 Start"]
    assert subjects(read_inbox(tenant, "--task", "a-1")) == ["RESULT:a-1", "TASK:a-1 Start"]
    assert len(read_inbox(tenant, "--from", "ann")) == 3
    assert read_inbox(tenant, "--from", KIM) == []
    assert subjects(read_inbox(tenant, "--thread", first["message_id"])) == ["TASK:a-1 Start"]
    assert subjects(read_inbox(tenant, "--limit", "1")) == ["Lunch"]


def test_cursor_gives_each_message_once(tenant: Terminal) -> None:
    cursor, found = "0", []
    for subject in ("one", "two", "three"):
        send(tenant, "--subject", subject)
        page = tenant.run_json("mail", "inbox", *BOB, "--since", cursor)
        cursor = page["cursor"]
        found += subjects(page["messages"])

    assert found == ["one", "two", "three"]
    assert read_inbox(tenant, "--since", cursor, "--wait", "50ms") == []


def test_page_names_the_cursor_of_the_next_page(tenant: Terminal) -> None:
    for subject in ("one", "two"):
        send(tenant, "--subject", subject)

    result = tenant.run("mail", "inbox", *BOB, "--limit", "1")
    cursor = result.stderr.strip().removesuffix(".").rpartition("--cursor ")[2]

    assert "two" in result.stdout
    assert subjects(read_inbox(tenant, "--cursor", cursor)) == ["one"]


def test_waiting_inbox_returns_when_a_message_arrives(
    tenant: Terminal, real: ServiceProcess
) -> None:
    variables = {
        "QUORATE_URL": real.url,
        "QUORATE_API_KEY": os.environ["QUORATE_API_KEY"],
        "QUORATE_JSON": "0",
    }
    waiting = ("mail", "inbox", *BOB, "--since", "0", "--wait", "60s")
    with start_cli(*waiting, **variables) as command:
        send(tenant, "--subject", "at last")
        outcome = command.wait()

    assert outcome.code == 0
    assert "at last" in outcome.stdout


def test_watch_prints_messages_and_what_became_of_sent_ones(tenant: Terminal) -> None:
    message = send(tenant, "--subject", "TASK:w-1", "--ack-required")
    tenant.run_json("mail", "ack", message, *BOB)

    received = tenant.run("mail", "watch", *BOB, "--after", "0", "--once")
    status = tenant.run("mail", "watch", *ANN, "--after", "0", "--count", "2", "--status")

    assert (
        "\N{LEFT DOUBLE QUOTATION MARK}TASK:w-1\N{RIGHT DOUBLE QUOTATION MARK}" in received.stdout
    )
    assert message in received.stdout
    assert f"bob acknowledged message {message}" in status.stdout


def test_search_finds_messages_by_words_and_filters(tenant: Terminal) -> None:
    message = send(tenant, "--subject", "TASK:s-1 Offer", body="valid until Friday")

    def find(*words: str) -> list[str]:
        page = tenant.run_json("mail", "search", *words, *BOB)
        return [one["message_id"] for one in page["messages"]]

    wait_until(lambda: find("friday"))  # The index follows the log.

    assert find("valid offer", "--from", "ann", "--kind", "TASK") == [message]
    assert find("friday", "--to", "bob", "--after", "2020-01-01") == [message]
    assert find("friday", "--before", "2020-01-01T00:00:00Z") == []
    assert find('"friday*') == [message]
    assert message[-8:] in tenant.run("mail", "search", "friday", *BOB).stdout
    assert tenant.run("mail", "search", "friday", *BOB, "--after", "soon").exit_code == 2


# -- Threads ------------------------------------------------------------------------


def test_reply_joins_the_thread_with_the_task_of_the_message(tenant: Terminal) -> None:
    message = send(tenant, "--subject", "TASK:a-1 Start")

    sent = tenant.run_json("mail", "reply", message, *BOB, "--kind", "RESULT", "--body", "done")

    thread = tenant.run_json("mail", "thread", message, *ANN)
    assert sent["thread_id"] == thread["thread_id"]
    first, second = subjects(thread["messages"])
    assert first == "TASK:a-1 Start"
    assert second.startswith("RESULT:a-1")
    assert second.endswith("Start")
    text = tenant.run("mail", "thread", thread["thread_id"][-8:], *ANN, "--newest").stdout
    assert text.index("RESULT:a-1") < text.rindex("TASK:a-1 Start")


def test_reply_to_all_leaves_out_the_agent_itself(tenant: Terminal) -> None:
    message = send(tenant, "--to", "bob", "--cc", "ann", "--cc", KIM, "--subject", "Plan")

    tenant.run_quiet("mail", "reply", message, *BOB, "--all", "--body", "yes")
    tenant.run_quiet("mail", "reply", message, *BOB, "--body", "only you")

    alone, to_all = tenant.run_json("mail", "sent", *BOB)["messages"]
    ann = tenant.run_quiet("mail", "account", *ANN)
    assert (alone["to_addresses"], alone["cc_addresses"]) == ([ann], [])
    assert (to_all["to_addresses"], to_all["cc_addresses"]) == ([ann], [KIM])
    assert to_all["subject"] == "Re: Plan"


def test_reply_kind_needs_a_task(tenant: Terminal) -> None:
    message = send(tenant, "--subject", "Lunch")

    assert tenant.run("mail", "reply", message, *BOB, "--kind", "ACK", "--body", "").exit_code == 2


def test_thread_of_others_is_not_found(tenant: Terminal) -> None:
    message = send(tenant)
    tenant.run_quiet("agents", "register", "carl")

    result = tenant.run("mail", "thread", message, "--agent-name", "carl")

    assert result.exit_code == 5


# -- Marks --------------------------------------------------------------------------


def test_marks_are_shown_in_the_inbox(tenant: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    message = send(tenant, "--ack-required", "--importance", "urgent", "--subject", "s")
    before = tenant.run("mail", "inbox", *BOB).stdout

    assert tenant.run_json("mail", "star", message[-8:], *BOB) == {"starred": True}
    assert "Acknowledged" in tenant.run("mail", "ack", message, *BOB).stdout
    after = tenant.run("mail", "inbox", *BOB).stdout

    assert "new, ack required, urgent" in before
    assert "starred, acknowledged, urgent" in after
    assert tenant.run_json("mail", "star", message, *BOB, "--remove") == {"starred": False}


def test_deleted_message_stays_in_other_mailboxes(tenant: Terminal) -> None:
    message = send(tenant)

    assert tenant.run_quiet("mail", "delete", message, *BOB) == message

    assert read_inbox(tenant) == []
    assert tenant.run("mail", "delete", message, *BOB).exit_code == 5
    assert len(tenant.run_json("mail", "sent", *ANN)["messages"]) == 1


# -- Hostile text -------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "120"])
def test_hostile_subjects_and_bodies_are_neutralized(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    message = send(tenant, "--subject", HOSTILE_LINE, body=HOSTILE_BODY)

    for words in (
        ("inbox",),
        ("read", message),
        ("thread", message),
        ("watch", "--after", "0", "--once"),
    ):
        result = tenant.run("mail", *words, *BOB)

        assert result.exit_code == 0
        assert "[bold]x[/bold]" in "".join(result.stdout.split())
        assert not [
            letter for letter in result.stdout if not letter.isprintable() and letter != "\n"
        ]


# -- Agents and keys ----------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *(("inbox",), ("sent",), ("send", "--to", KIM, "--body", "x"), ("account",)),
        *(("policy", "show"), ("watch", "--once"), ("ack", "msg_1"), ("read", "12345678")),
    ],
    ids=lambda words: words[0],
)
def test_missing_agent_is_a_usage_error(tenant: Terminal, words: tuple[str, ...]) -> None:
    result: Result = tenant.run("mail", *words)

    assert result.exit_code == 2
    assert "--agent-name" in result.stderr


def test_tenant_key_reads_a_message_without_marking_it(tenant: Terminal) -> None:
    message = send(tenant)

    assert tenant.run_json("mail", "read", message)["body_text"] == "text"
    assert len(read_inbox(tenant, "--unread")) == 1


def test_agent_key_has_only_its_own_mailbox(tenant: Terminal) -> None:
    send(tenant)
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", *BOB))

    assert len(tenant.run_json("mail", "inbox")["messages"]) == 1
    assert tenant.run("mail", "inbox", *ANN).exit_code == 4
