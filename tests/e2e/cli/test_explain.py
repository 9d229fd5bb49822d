"""`quorate explain` says why, as text and as JSON."""

from tests.e2e.cli.terminal import Terminal

LEASE = ("lease", "acquire", "kim@example.com", "--agent-name", "ann")
SEND = ("mail", "send", "--agent-name", "ann", "--to", "kim@example.com", "--body", "Hello")


def test_end_of_a_lease_is_explained_as_text_and_as_json(tenant: Terminal) -> None:
    lease = tenant.run_quiet(*LEASE)
    tenant.run_json("lease", "release", lease)

    found = tenant.run_json("explain", lease)
    assert (found["id"], found["outcome"]) == (lease, "LeaseReleased")
    assert found["isComplete"]
    (fact,) = found["facts"]
    assert fact["kind"] == "lease"

    shown = tenant.run("explain", lease)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "LeaseReleased"
    assert [line.split()[0] for line in lines[1:]] == ["Rule", "Fact", "Decided", "Possible"]
    assert lines[1] == f"Rule      {found['rule']}"
    assert lines[2].endswith(f"  #{fact['sequence']}  {fact['text']}")
    assert f"#{found['command']['sequence']}  by {found['command']['actor']}" in lines[3]
    assert found["command"]["commandId"] in lines[3]


def test_rule_that_needs_an_option_of_the_operator_says_so(tenant: Terminal) -> None:
    message = tenant.run_quiet(*SEND)
    found = tenant.run_json("explain", message)
    assert (found["outcome"], found["isComplete"]) == ("MessageHeld: no_relay", False)

    lines = tenant.run("explain", message).stdout.splitlines()
    missing = "Missing   The rule needs an option of the operator, which is not in the log."
    assert missing in lines


def test_code_of_a_problem_is_explained_without_facts(tenant: Terminal) -> None:
    found = tenant.run_json("explain", "lease_conflict")
    assert (found["id"], found["facts"]) == ("lease_conflict", [])
    lines = tenant.run("explain", "lease_conflict").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["Rule", "Possible"]


def test_unknown_id_is_an_error(tenant: Terminal) -> None:
    unknown = tenant.run("explain", "d290f1ee-6c54-4b01-90e6-d701748f0851")
    assert unknown.exit_code != 0
    assert "nothing_to_explain" in unknown.stderr or "Nothing to explain" in unknown.stderr
    assert unknown.stdout == ""
