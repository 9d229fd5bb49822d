"""Operators act with a reason, after a question, by the command line."""

from tests.e2e.cli.terminal import Terminal

LEASE = ("lease", "acquire", "kim@example.com", "--agent-name", "ann")


def test_action_says_what_happens_and_does_nothing_without_an_answer(tenant: Terminal) -> None:
    lease = tenant.run_quiet(*LEASE)
    declined = tenant.run("lease", "end", lease, "--reason", "Kim objected")

    assert declined.exit_code != 0
    assert f"The lease {lease} ends now." in declined.stderr
    assert tenant.run_json("lease", "get", lease)["status"] == "active"


def test_action_needs_a_reason(tenant: Terminal) -> None:
    lease = tenant.run_quiet(*LEASE)

    assert "--reason" in tenant.run("lease", "end", lease, "--yes").stderr
    assert tenant.run_json("lease", "get", lease)["status"] == "active"


def test_operator_ends_a_lease_and_the_log_says_why(tenant: Terminal) -> None:
    lease = tenant.run_quiet(*LEASE)
    end = ("lease", "end", lease, "--yes", "--reason", "Kim objected")

    assert tenant.run_json(*end)["status"] == "revoked"
    assert tenant.run_json(*end)["status"] == "revoked"
    shown = tenant.run("events", "list", "--type", "LeaseRevoked", "--no-json").stdout
    assert " ".join(shown.split()).count("an operator ended it: Kim objected") == 1


def test_operator_deactivates_an_agent_until_its_heartbeat(tenant: Terminal) -> None:
    ann = tenant.run_quiet("agents", "get", "ann")
    stop = ("agents", "deactivate", ann, "--yes", "--reason", "It repeats itself")

    assert tenant.run_json(*stop)["status"] == "inactive"
    tenant.run_json("agents", "heartbeat", "--agent-name", "ann")
    assert tenant.run_json("agents", "get", "ann")["status"] == "active"
