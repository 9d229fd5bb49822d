"""`quorate lease`: contacts as arguments, leases by contact, and what each command reports."""

import pytest

from tests.e2e.cli.terminal import Terminal

CONTACT = "user@example.com"


def test_contact_is_an_argument_or_an_option(tenant: Terminal) -> None:
    acquired = tenant.run_json("lease", "acquire", CONTACT, "--agent-name", "ann")
    same = tenant.run_json("lease", "acquire", "--contact-email", CONTACT, "--agent-name", "ann")

    assert acquired["id"] == same["id"]
    for words in ((), ("a@b.co", "--contact-email", "c@d.co")):
        result = tenant.run("lease", "acquire", *words, "--agent-name", "ann")
        assert result.exit_code == 2
        assert "CONTACT" in result.stderr


def test_lease_is_named_by_its_contact(tenant: Terminal) -> None:
    acquired = tenant.run_json("lease", "acquire", CONTACT, "--agent-name", "ann")
    renewed = tenant.run_json("lease", "renew", CONTACT, "--duration", "2h")
    shown = tenant.run("lease", "get", CONTACT).stdout

    assert (renewed["id"], renewed["fence"]) == (acquired["id"], acquired["fence"])
    assert renewed["expiresAt"] > acquired["expiresAt"]
    assert tenant.run_json("lease", "get", CONTACT) == renewed
    assert shown.startswith(f"ann holds {CONTACT}.\n")
    assert tenant.run_quiet("lease", "get", acquired["id"]) == acquired["id"]


@pytest.mark.parametrize("verb", ["get", "renew", "release"])
def test_contact_without_lease_is_not_found(tenant: Terminal, verb: str) -> None:
    result = tenant.run("lease", verb, "nothing@example.com")

    assert result.exit_code == 5
    assert result.stderr == "Error: No active lease on nothing@example.com.\n"


def test_release_by_contact_needs_the_holder_or_force(tenant: Terminal) -> None:
    lease = tenant.run_quiet("lease", "acquire", CONTACT, "--agent-name", "ann")

    for words in ((), ("--agent-name", "bob")):
        refused = tenant.run("lease", "release", CONTACT, *words)
        assert refused.exit_code == 3
        assert refused.stderr.startswith(f"Error: ann holds {CONTACT}.\n")
    own = tenant.run("lease", "release", CONTACT, "--agent-name", "ANN")
    assert own.stdout == f"Released {CONTACT} (lease {lease}).\n"
    again = tenant.run_quiet("lease", "acquire", CONTACT, "--agent-name", "ann")
    assert tenant.run_quiet("lease", "release", CONTACT, "--force") == again


def test_agent_key_releases_by_contact_without_options(tenant: Terminal) -> None:
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", "--agent-name", "ann"))
    tenant.run_json("lease", "acquire", CONTACT)

    assert tenant.run("lease", "release", CONTACT).exit_code == 0


def test_second_release_says_that_the_lease_had_ended(tenant: Terminal) -> None:
    lease = tenant.run_quiet("lease", "acquire", CONTACT, "--agent-name", "ann")

    assert tenant.run("lease", "release", lease).stdout.startswith("Released ")
    assert tenant.run("lease", "release", lease).stdout == (
        f"The lease on {CONTACT} had already ended: released.\n"
    )
    assert tenant.run_json("lease", "release", lease) == {"released": True}


def test_quiet_send_gate_answers_by_its_exit_code(tenant: Terminal) -> None:
    tenant.run_json("lease", "acquire", CONTACT, "--agent-name", "ann")
    gate = ("lease", "request-send", CONTACT, "--quiet", "--agent-name")

    results = [tenant.run(*gate, agent) for agent in ("ann", "bob")]

    assert [(one.exit_code, one.stdout) for one in results] == [(0, ""), (3, "")]


def test_quiet_commands_print_the_id_of_what_they_changed(tenant: Terminal) -> None:
    ann = tenant.run_quiet("agents", "heartbeat", "--agent-name", "ann")
    proposal = tenant.run_quiet(
        *("proposals", "create", "--agent-name", "ann", "--action", "x"),
        *("--contact-email", CONTACT, "--reason", "y"),
    )
    vote = ("proposals", "vote", proposal, "--agent-name", "bob", "--vote", "approve")
    key = tenant.run_json("keys", "issue", "--role", "auditor")["id"]

    assert ann == tenant.run_quiet("agents", "get", "ann")
    assert tenant.run_quiet("agents", "update-config", "ann", "--config", "{}") == ann
    assert tenant.run_quiet(*vote) == proposal
    assert tenant.run_json("keys", "get", key)["role"] == "auditor"
    assert tenant.run_quiet("keys", "revoke", key) == key
    assert "revoked" in tenant.run("keys", "get", key).stdout
    assert tenant.run("keys", "get", "unknown").exit_code == 5
