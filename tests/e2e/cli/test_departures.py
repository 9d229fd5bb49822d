"""Agents leave, names are removed and proposals are cancelled, by the command line."""

from tests.e2e.cli.terminal import Terminal

PROPOSE = (
    *("agents", "consensus", "create", "--agent-name", "ann", "--action", "pause outreach"),
    *("--contact-email", "ceo@bigcorp.com", "--reason", "Fatigue scores are high"),
)


def test_pending_proposal_shows_what_it_needs_and_who_has_not_voted(tenant: Terminal) -> None:
    proposal = tenant.run_quiet(*PROPOSE)
    voted = tenant.run(
        *("agents", "consensus", "vote", proposal, "--agent-name", "bob"),
        *("--vote", "approve", "--no-json"),
    )
    shown = tenant.run("agents", "consensus", "get", proposal, "--no-json")
    found = tenant.run_json("agents", "consensus", "get", proposal)

    assert "1 of 2 active agents approve; 2 needed" in voted.stdout + voted.stderr
    assert "1 of 2 active agents approve; 2 needed" in shown.stdout
    assert "not voted    ann" in shown.stdout
    assert (found["electorateSize"], found["needed"]) == (2, 2)


def test_proposal_is_cancelled_by_its_proposer_only(tenant: Terminal) -> None:
    proposal = tenant.run_quiet(*PROPOSE)
    cancel = ("agents", "consensus", "cancel", proposal)

    assert tenant.run(*cancel, "--agent-name", "bob").exit_code == 4
    assert tenant.run_json(*cancel, "--agent-name", "ann")["status"] == "cancelled"
    assert tenant.run_json(*cancel)["status"] == "cancelled"


def test_deregistered_agent_is_listed_apart_and_removed(tenant: Terminal) -> None:
    bob = tenant.run_quiet("agents", "show", "bob")

    assert tenant.run("agents", "remove", "bob").exit_code == 3
    left = tenant.run_json("agents", "deregister", "bob")
    assert left == {"agentId": bob, "deregistered": True}
    assert bob not in tenant.run_quiet("agents", "list")
    assert tenant.run_quiet("agents", "list", "--status", "deregistered") == bob
    assert tenant.run_json("agents", "show", "bob")["status"] == "deregistered"
    assert tenant.run_json("agents", "remove", "BOB") == {"removed": True}
    assert tenant.run("agents", "show", "bob").exit_code == 5
    assert tenant.run_quiet("agents", "register", "--agent-name", "bob") != bob


def test_revocation_of_the_last_key_ends_the_agent_on_request(tenant: Terminal) -> None:
    issue = ("keys", "issue", "--role", "agent", "--agent-name", "bob")
    first, second, third = (tenant.run_quiet(*issue) for _ in range(3))

    assert tenant.run_json("keys", "revoke", first) == {"revoked": True}
    kept = tenant.run_json("keys", "revoke", second, "--end-agent")
    assert kept == {"revoked": True, "agentEnded": False}
    assert tenant.run_json("agents", "show", "bob")["status"] == "active"
    ended = tenant.run_json("keys", "revoke", third, "--end-agent")
    assert ended == {"revoked": True, "agentEnded": True}
    assert tenant.run_json("agents", "show", "bob")["status"] == "deregistered"
