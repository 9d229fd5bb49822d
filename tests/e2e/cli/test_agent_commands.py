"""`quorate agents`: its commands with each kind of key, against a real service."""

import orjson
import pytest

from tests.e2e.cli.terminal import Terminal

ID_LENGTH = 36
LEASE = ("agents", "lease", "--contact-email", "user@example.com")
PROPOSE = (
    *("agents", "consensus", "create", "--action", "pause outreach"),
    *("--contact-email", "ceo@bigcorp.com", "--reason", "Fatigue scores are high"),
)


# -- Acting agent -----------------------------------------------------------------


def test_agent_key_identifies_its_agent_in_every_command(tenant: Terminal) -> None:
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", "--agent-name", "ann"))
    ann = tenant.run_json("agents", "register")["id"]

    assert tenant.run_json("agents", "heartbeat")["agentId"] == ann
    assert tenant.run_json(*LEASE)["agentId"] == ann
    assert tenant.run_json("agents", "request-send", "--contact-email", "a@b.co")["agentId"] == ann
    proposal = tenant.run_json(*PROPOSE)
    assert proposal["requestingAgentId"] == ann
    vote = tenant.run_json("agents", "consensus", "vote", proposal["id"], "--vote", "approve")
    assert vote["agentId"] == ann
    assert tenant.run_json(
        "agents", "update-config", "--config", '{"humanizer_style": "calm"}'
    ) == {"humanizer_style": "calm"}
    assert tenant.run_json("agents", "config") == {"humanizer_style": "calm"}
    assert tenant.run_json("agents", "show")["id"] == ann


def test_tenant_key_acts_for_the_agent_in_the_environment(tenant: Terminal) -> None:
    ann = tenant.run_quiet("agents", "show", "ann")
    for agent in ("ann", ann):
        tenant.set_agent(agent)

        assert tenant.run_json("agents", "heartbeat")["agentId"] == ann
        assert tenant.run_json(*LEASE)["agentId"] == ann
        assert tenant.run_json("agents", "config") == {}


def test_agent_option_overrides_the_environment(tenant: Terminal) -> None:
    bob = tenant.run_quiet("agents", "show", "bob")
    tenant.set_agent("ann")

    assert tenant.run_json("agents", "heartbeat", "--agent-name", "bob")["agentId"] == bob
    assert tenant.run_json("agents", "heartbeat", "--agent-id", bob)["agentId"] == bob


@pytest.mark.parametrize(
    "words",
    [
        ("agents", "heartbeat"),
        LEASE,
        PROPOSE,
        ("agents", "request-send", "--contact-email", "a@b.co"),
        ("agents", "register"),
        ("agents", "config"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_missing_agent_name_is_a_usage_error_that_names_the_options(
    tenant: Terminal, words: tuple[str, ...]
) -> None:
    result = tenant.run(*words)

    assert result.exit_code == 2
    for way in ("--agent-name", "QUORATE_AGENT", "context", "key"):
        assert way in result.stderr.splitlines()[-1]


def test_register_does_not_change_the_acting_agent(tenant: Terminal) -> None:
    tenant.run_json("agents", "register", "--agent-name", "carl")

    assert tenant.run("agents", "heartbeat").exit_code == 2
    assert "export QUORATE_AGENT=carl" in (
        tenant.run("agents", "register", "--agent-name", "carl").stderr
    )


# -- Leases -----------------------------------------------------------------------


def test_lease_conflict_is_reported_as_text_and_json(tenant: Terminal) -> None:
    tenant.run_json(*LEASE, "--agent-name", "ann")

    as_text = tenant.run(*LEASE, "--agent-name", "bob")
    as_json = tenant.run(*LEASE, "--agent-name", "bob", "--json")

    assert (as_text.exit_code, as_json.exit_code) == (3, 3)
    assert as_text.stdout == ""
    assert as_text.stderr.startswith("Error: ann holds the contact until 20")
    assert as_text.stderr == as_json.stderr
    problem = orjson.loads(as_json.stdout)
    assert (problem["code"], problem["conflict"]) == ("lease_conflict", True)
    assert problem["leaseHolder"]["agentName"] == "ann"


def test_lease_is_acquired_renewed_listed_and_released(tenant: Terminal) -> None:
    acquired = tenant.run_json(
        *LEASE, "--agent-name", "ann", "--intent", "sales", "--duration", "0.5"
    )
    renewed = tenant.run_json("agents", "renew-lease", acquired["id"], "--duration", "60")
    listed = tenant.run_json("agents", "leases", "--agent", "ann")
    table = tenant.run("agents", "leases", "-o", "wide").stdout
    released = tenant.run_json("agents", "release-lease", acquired["id"])

    assert (acquired["intent"], renewed["fence"]) == ("sales", acquired["fence"])
    assert renewed["expiresAt"] > acquired["expiresAt"]
    assert listed == [renewed]
    for words in ("user@example.com", "ann", "sales", str(acquired["fence"]), acquired["id"]):
        assert words in table
    assert released == {"released": True}
    assert tenant.run_json("agents", "leases") == []
    assert tenant.run("agents", "leases").stdout == "Leases held: none\n"


def test_quiet_prints_only_the_id(tenant: Terminal) -> None:
    lease = tenant.run_quiet(*LEASE, "--agent-name", "ann")

    assert len(lease) == ID_LENGTH
    assert tenant.run_quiet("agents", "leases") == lease
    assert tenant.run_quiet("agents", "leases", "--contact-email", "other@example.com") == ""


def test_blocked_send_request_exits_with_conflict(tenant: Terminal) -> None:
    tenant.run_json(*LEASE, "--agent-name", "ann")
    gate = ("agents", "request-send", "--contact-email", "user@example.com")

    mine = tenant.run(*gate, "--agent-name", "ann")
    blocked = tenant.run(*gate, "--agent-name", "bob")
    stale = tenant.run(*gate, "--agent-name", "ann", "--fence", "1")
    as_json = tenant.run(*gate, "--agent-name", "bob", "--json")

    assert [one.exit_code for one in (mine, blocked, stale, as_json)] == [0, 3, 3, 3]
    assert blocked.stdout.startswith("Blocked: ann holds the contact until 20")
    assert stale.stdout == "Blocked: fence 1 is stale; a newer lease exists.\n"
    assert orjson.loads(as_json.stdout)["reason"] == "lease_conflict"


@pytest.mark.parametrize("minutes", ["0", "1441", "nan", "soon"])
def test_invalid_lease_duration_is_a_usage_error(tenant: Terminal, minutes: str) -> None:
    result = tenant.run(*LEASE, "--agent-name", "ann", "--duration", minutes)

    assert result.exit_code == 2
    assert "--duration" in result.stderr


def test_validation_error_of_the_service_is_printed(tenant: Terminal) -> None:
    contact = "ann@\N{CYRILLIC SMALL LETTER A}pple.com"  # Only the service has the Unicode tables.
    result = tenant.run("lease", "acquire", contact, "--agent-name", "ann")

    assert result.exit_code == 2
    assert "different scripts" in result.stderr


# -- Votes ------------------------------------------------------------------------


def test_proposal_is_created_voted_on_and_shown(tenant: Terminal) -> None:
    proposal = tenant.run_quiet(*PROPOSE, "--agent-name", "ann", "--timeout", "1")
    vote = ("agents", "consensus", "vote", proposal, "--vote", "approve", "--reason", "Agreed")
    tenant.run_json(*vote, "--agent-name", "ann")
    cast = tenant.run(*vote, "--agent-name", "bob")

    found = tenant.run_json("agents", "consensus", "get", proposal)
    shown = tenant.run("agents", "consensus", "get", proposal).stdout
    votes = tenant.run_json("agents", "consensus", "votes", proposal)

    assert cast.stdout == "bob voted to approve; the proposal is approved.\n"
    assert (found["status"], found["decision"]["electorateSize"]) == ("approved", 2)
    for words in ("The proposal is approved.", "2 for, 0 against, of 2", "ann", "bob", "Agreed"):
        assert words in shown
    assert [one["reason"] for one in votes] == ["Agreed", "Agreed"]
    assert tenant.run_quiet("agents", "consensus", "list", "--status", "approved") == proposal
    assert tenant.run_json("agents", "consensus", "list", "--status", "pending") == []


def test_second_vote_is_a_conflict(tenant: Terminal) -> None:
    proposal = tenant.run_quiet(*PROPOSE, "--agent-name", "ann")
    vote = ("agents", "consensus", "vote", proposal, "--agent-name", "ann", "--vote")
    tenant.run(*vote, "approve")

    assert tenant.run(*vote, "reject").exit_code == 3
    assert tenant.run(*vote, "perhaps").exit_code == 2


def test_proposal_options_are_sent(tenant: Terminal) -> None:
    options = ("--electorate", "snapshot", "--no-proposer-votes", "--floor", "0.5")

    found = tenant.run_json(*PROPOSE, "--agent-name", "ann", *options)

    assert (found["electorate"], found["proposerVotes"], found["floor"]) == ("snapshot", False, 0.5)


# -- Agents and settings ----------------------------------------------------------


def test_agent_list_is_printed_as_table_and_json(tenant: Terminal) -> None:
    table = tenant.run("agents", "list", "-o", "wide").stdout
    listed = tenant.run_json("agents", "list")

    assert [one["agentName"] for one in listed] == ["ann", "bob"]
    for words in ("ann", "bob", "outbound", "active", listed[0]["id"]):
        assert words in table
    assert len(tenant.run_json("agents", "list", "--limit", "1")) == 1


def test_long_list_is_read_in_pages(tenant: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.contracts.wire_models.PAGE_LENGTH_MAX", 1)

    assert [one["agentName"] for one in tenant.run_json("agents", "list")] == ["ann", "bob"]


@pytest.mark.parametrize("of", ["show", "config"])
def test_agent_name_lookup_ignores_case(tenant: Terminal, of: str) -> None:
    assert tenant.run("agents", of, "ANN").exit_code == 0
    assert tenant.run("agents", of, "unknown").exit_code == 5


def test_unknown_settings_are_reported(tenant: Terminal) -> None:
    update = ("agents", "update-config", "ann", "--config")

    result = tenant.run(*update, '{"humanizer_enabled": true, "humaniser": 1}')

    assert "humanizer_enabled  true" in result.stdout
    assert "humaniser" in result.stderr
    assert tenant.run(*update, "{}").stdout == "The config is empty.\n"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": NaN}'])
def test_config_that_is_not_an_object_is_a_usage_error(tenant: Terminal, text: str) -> None:
    assert tenant.run("agents", "update-config", "ann", "--config", text).exit_code == 2


# -- Exit codes -------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("agents", "renew-lease", "01a1fbc1-3b54-788c-a0a5-f0082570796a"),
        ("agents", "consensus", "get", "01a1fbc1-3b54-788c-a0a5-f0082570796a"),
        ("agents", "consensus", "get", "../../../keys"),
        ("keys", "revoke", "nokey"),
    ],
)
def test_missing_items_exit_with_not_found(tenant: Terminal, words: tuple[str, ...]) -> None:
    assert tenant.run(*words).exit_code == 5


def test_unreachable_service_exits_with_unavailable(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.cli.connection.api.CALL_TIMEOUT_SECONDS", 0.2)

    result = tenant.run("agents", "list", "--url", "http://127.0.0.1:1")

    assert result.exit_code == 6
    assert "quorate doctor" in result.stderr
