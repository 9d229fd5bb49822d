"""`quorate sessions`: send, reply, read, branch, values, watch and erase."""

from tests.e2e.cli.terminal import Terminal

ANN, BOB = ("--agent-name", "ann"), ("--agent-name", "bob")
MAIN = "agent:bob:main"


def test_message_is_sent_answered_and_read(tenant: Terminal) -> None:
    message = tenant.run_quiet("sessions", "send", MAIN, "Ready?", *ANN, "--label", "lead")
    tenant.run_quiet("sessions", "reply", MAIN, message, "[1, 2]", "--value", *BOB)
    page = tenant.run_json("sessions", "history", MAIN, *BOB, "--mark-read")

    asked, answer = page["messages"]
    assert (asked["content"], asked["context"], asked["reply_id"]) == (
        "Ready?",
        "lead",
        answer["id"],
    )
    assert (answer["content"], answer["role"], page["unread"]) == ([1, 2], "assistant", 0)
    shown = tenant.run("sessions", "history", MAIN, "--no-json").stdout
    assert "[lead]\n  Ready?" in shown
    assert shown.endswith("2 of 2 messages.\n")


def test_wait_without_an_answer_says_so(tenant: Terminal) -> None:
    sent = tenant.run("sessions", "send", MAIN, "?", *ANN, "--wait", "1s", "--no-json")
    assert sent.exit_code == 0
    assert "There was no answer in time." in sent.stdout


def test_sessions_are_created_branched_listed_and_deleted(tenant: Terminal) -> None:
    key = tenant.run_quiet("sessions", "create", "agent:ann:plan", *ANN, "--label", "Plan")
    tenant.run_quiet("sessions", "send", key, "one", *ANN)
    branch = tenant.run_quiet("sessions", "branch", "other", *ANN, "--key", key)
    listed = tenant.run("sessions", "list", *ANN, "--filter", "pla", "--quiet").stdout.split()
    refused = tenant.run("sessions", "delete", key, *ANN)
    for one in (branch, key):
        assert tenant.run_quiet("sessions", "delete", one, *ANN) == one

    assert listed == [key]
    assert refused.exit_code == 3
    assert tenant.run("sessions", "history", key, *ANN).exit_code == 5


def test_values_are_json_or_text(tenant: Terminal) -> None:
    state = ("sessions", "state")
    assert tenant.run(*state, "set", "n", "a", '{"x": 1}', *ANN).exit_code == 0
    assert tenant.run(*state, "set", "n", "b", "plain text", *ANN).exit_code == 0
    assert tenant.run_json(*state, "get", "n", "a", *ANN)["value"] == {"x": 1}
    assert tenant.run(*state, "get", "n", "b", *ANN, "--no-json").stdout == '"plain text"\n'
    assert tenant.run_json(*state, "clear", "n", *ANN)["deleted"] == 2


def test_watch_prints_messages_and_erase_removes_their_text(tenant: Terminal) -> None:
    message = tenant.run_quiet("sessions", "send", MAIN, "secret", *ANN)
    watch = ("sessions", "watch", *BOB, "--after", "0", "--once")
    assert "ann sent message 0 in agent:bob:main: secret" in tenant.run(*watch, "--no-json").stdout
    assert tenant.run("sessions", "erase", message, "--no-json").exit_code == 0
    assert tenant.run_json("sessions", "history", MAIN)["messages"][0]["content"] is None
