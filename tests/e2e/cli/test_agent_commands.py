"""`quorate agents` as agents use it, with each kind of key, against a real service."""

import orjson
import pytest

from tests.e2e.cli.terminal import Terminal

ID_LENGTH = 36
LEASE = ("agents", "lease", "--contact-email", "user@example.com")
PROPOSE = (
    *("agents", "consensus", "create", "--action", "pause outreach"),
    *("--contact-email", "ceo@bigcorp.com", "--reason", "Fatigue scores are high"),
)


# -- Who acts ---------------------------------------------------------------------


def test_an_agents_own_key_says_who_it_is_everywhere(tenant: Terminal) -> None:
    tenant.holds(tenant.id("keys", "issue", "--role", "agent", "--agent-name", "ann"))
    ann = tenant.gets("agents", "register")["id"]

    assert tenant.gets("agents", "heartbeat")["agentId"] == ann
    assert tenant.gets(*LEASE)["agentId"] == ann
    assert tenant.gets("agents", "request-send", "--contact-email", "a@b.co")["agentId"] == ann
    proposal = tenant.gets(*PROPOSE)
    assert proposal["requestingAgentId"] == ann
    vote = tenant.gets("agents", "consensus", "vote", proposal["id"], "--vote", "approve")
    assert vote["agentId"] == ann
    assert tenant.gets("agents", "update-config", "--config", '{"humanizer_style": "calm"}') == {
        "humanizer_style": "calm"
    }
    assert tenant.gets("agents", "config") == {"humanizer_style": "calm"}
    assert tenant.gets("agents", "show")["id"] == ann


def test_a_tenants_key_acts_as_the_agent_that_is_exported(tenant: Terminal) -> None:
    ann = tenant.id("agents", "show", "ann")
    for agent in ("ann", ann):
        tenant.acts_as(agent)

        assert tenant.gets("agents", "heartbeat")["agentId"] == ann
        assert tenant.gets(*LEASE)["agentId"] == ann
        assert tenant.gets("agents", "config") == {}


def test_an_agent_that_is_named_beats_the_one_that_is_exported(tenant: Terminal) -> None:
    bob = tenant.id("agents", "show", "bob")
    tenant.acts_as("ann")

    assert tenant.gets("agents", "heartbeat", "--agent-name", "bob")["agentId"] == bob
    assert tenant.gets("agents", "heartbeat", "--agent-id", bob)["agentId"] == bob


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
def test_with_nobody_named_it_is_told_how_to_name_somebody(
    tenant: Terminal, words: tuple[str, ...]
) -> None:
    result = tenant.types(*words)

    assert result.exit_code in {1, 5}
    for way in ("--agent-name", "QUORATE_AGENT", "context", "key"):
        assert way in result.stderr
    assert result.stderr.count("\n") == 1


def test_registering_changes_nobody_elses_identity(tenant: Terminal) -> None:
    tenant.gets("agents", "register", "--agent-name", "carl")

    assert tenant.types("agents", "heartbeat").exit_code == 5
    assert "export QUORATE_AGENT=carl" in (
        tenant.types("agents", "register", "--agent-name", "carl").stderr
    )


# -- Leases -----------------------------------------------------------------------


def test_a_conflict_is_told_to_people_and_to_programs(tenant: Terminal) -> None:
    tenant.gets(*LEASE, "--agent-name", "ann")

    told = tenant.types(*LEASE, "--agent-name", "bob")
    answered = tenant.types(*LEASE, "--agent-name", "bob", "--json")

    assert (told.exit_code, answered.exit_code) == (3, 3)
    assert told.stdout == ""
    assert told.stderr.startswith("Error: ann holds the contact until 20")
    assert told.stderr == answered.stderr
    problem = orjson.loads(answered.stdout)
    assert (problem["code"], problem["conflict"]) == ("lease_conflict", True)
    assert problem["leaseHolder"]["agentName"] == "ann"


def test_a_lease_is_taken_kept_listed_and_given_back(tenant: Terminal) -> None:
    taken = tenant.gets(*LEASE, "--agent-name", "ann", "--intent", "sales", "--duration", "0.5")
    kept = tenant.gets("agents", "renew-lease", taken["id"], "--duration", "60")
    listed = tenant.gets("agents", "leases", "--agent", "ann")
    table = tenant.types("agents", "leases").stdout
    released = tenant.gets("agents", "release-lease", taken["id"])

    assert (taken["intent"], kept["fence"]) == ("sales", taken["fence"])
    assert kept["expiresAt"] > taken["expiresAt"]
    assert listed == [kept]
    for words in ("user@example.com", "ann", "sales", str(taken["fence"]), taken["id"]):
        assert words in table
    assert released == {"released": True}
    assert tenant.gets("agents", "leases") == []
    assert tenant.types("agents", "leases").stdout == "Leases held: none\n"


def test_quiet_prints_the_id_and_nothing_else(tenant: Terminal) -> None:
    lease = tenant.id(*LEASE, "--agent-name", "ann")

    assert len(lease) == ID_LENGTH
    assert tenant.id("agents", "leases") == lease
    assert tenant.id("agents", "leases", "--contact-email", "other@example.com") == ""


def test_the_send_gate_stops_what_stands_behind_it(tenant: Terminal) -> None:
    tenant.gets(*LEASE, "--agent-name", "ann")
    gate = ("agents", "request-send", "--contact-email", "user@example.com")

    mine = tenant.types(*gate, "--agent-name", "ann")
    blocked = tenant.types(*gate, "--agent-name", "bob")
    stale = tenant.types(*gate, "--agent-name", "ann", "--fence", "1")
    answered = tenant.types(*gate, "--agent-name", "bob", "--json")

    assert [one.exit_code for one in (mine, blocked, stale, answered)] == [0, 3, 3, 3]
    assert blocked.stdout.startswith("Blocked: ann holds the contact until 20")
    assert stale.stdout == "Blocked: fence 1 is old; another lease came after it.\n"
    assert orjson.loads(answered.stdout)["reason"] == "lease_conflict"


@pytest.mark.parametrize("minutes", ["0", "1441", "nan", "soon"])
def test_a_time_that_no_lease_may_last_is_wrong_use(tenant: Terminal, minutes: str) -> None:
    result = tenant.types(*LEASE, "--agent-name", "ann", "--duration", minutes)

    assert result.exit_code == 2
    assert "--duration" in result.stderr


def test_what_the_service_finds_wrong_is_told_in_its_words(tenant: Terminal) -> None:
    result = tenant.types("agents", "lease", "--agent-name", "ann", "--contact-email", "nobody")

    assert result.exit_code == 1
    assert "there is no @" in result.stderr


# -- Votes ------------------------------------------------------------------------


def test_a_vote_is_proposed_cast_and_looked_at(tenant: Terminal) -> None:
    proposal = tenant.id(*PROPOSE, "--agent-name", "ann", "--timeout", "1")
    vote = ("agents", "consensus", "vote", proposal, "--vote", "approve", "--reason", "Agreed")
    tenant.gets(*vote, "--agent-name", "ann")
    cast = tenant.types(*vote, "--agent-name", "bob")

    found = tenant.gets("agents", "consensus", "get", proposal)
    shown = tenant.types("agents", "consensus", "get", proposal).stdout
    votes = tenant.gets("agents", "consensus", "votes", proposal)

    assert cast.stdout == "bob voted to approve; the request is approved.\n"
    assert (found["status"], found["decision"]["electorateSize"]) == ("approved", 2)
    for words in ("The request is approved.", "2 for, 0 against, of 2", "ann", "bob", "Agreed"):
        assert words in shown
    assert [one["reason"] for one in votes] == ["Agreed", "Agreed"]
    assert tenant.id("agents", "consensus", "list", "--status", "approved") == proposal
    assert tenant.gets("agents", "consensus", "list", "--status", "pending") == []


def test_a_second_thought_is_a_conflict(tenant: Terminal) -> None:
    proposal = tenant.id(*PROPOSE, "--agent-name", "ann")
    vote = ("agents", "consensus", "vote", proposal, "--agent-name", "ann", "--vote")
    tenant.types(*vote, "approve")

    assert tenant.types(*vote, "reject").exit_code == 3
    assert tenant.types(*vote, "perhaps").exit_code == 2


def test_the_options_of_a_request_arrive(tenant: Terminal) -> None:
    options = ("--electorate", "snapshot", "--no-proposer-votes", "--floor", "0.5")

    found = tenant.gets(*PROPOSE, "--agent-name", "ann", *options)

    assert (found["electorate"], found["proposerVotes"], found["floor"]) == ("snapshot", False, 0.5)


# -- Agents and settings ----------------------------------------------------------


def test_agents_are_listed_for_people_and_programs(tenant: Terminal) -> None:
    table = tenant.types("agents", "list").stdout
    listed = tenant.gets("agents", "list")

    assert [one["agentName"] for one in listed] == ["ann", "bob"]
    for words in ("ann", "bob", "outbound", "active", listed[0]["id"]):
        assert words in table
    assert len(tenant.gets("agents", "list", "--limit", "1")) == 1


def test_a_long_list_is_read_page_by_page(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.cli.connection.api.PAGE_LENGTH_MAX", 1)

    assert [one["agentName"] for one in tenant.gets("agents", "list")] == ["ann", "bob"]


@pytest.mark.parametrize("of", ["show", "config"])
def test_an_agent_is_found_by_its_name_whatever_its_case(tenant: Terminal, of: str) -> None:
    assert tenant.types("agents", of, "ANN").exit_code == 0
    assert tenant.types("agents", of, "nobody").exit_code == 5


def test_settings_that_are_none_are_remarked(tenant: Terminal) -> None:
    update = ("agents", "update-config", "ann", "--config")

    result = tenant.types(*update, '{"humanizer_enabled": true, "humaniser": 1}')

    assert "humanizer_enabled  true" in result.stdout
    assert "humaniser" in result.stderr
    assert tenant.types(*update, "{}").stdout == "No settings.\n"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": NaN}'])
def test_settings_that_are_no_object_are_wrong_use(tenant: Terminal, text: str) -> None:
    assert tenant.types("agents", "update-config", "ann", "--config", text).exit_code == 2


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
def test_what_is_not_there_is_not_found(tenant: Terminal, words: tuple[str, ...]) -> None:
    assert tenant.types(*words).exit_code == 5


def test_a_service_that_is_away_is_unavailable(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.cli.connection.api.WITHIN_SECONDS_MAX", 0.2)

    result = tenant.types("agents", "list", "--url", "http://127.0.0.1:1")

    assert result.exit_code == 6
    assert "quorate doctor" in result.stderr
