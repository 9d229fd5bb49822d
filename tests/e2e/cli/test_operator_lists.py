"""Operators list the tasks, sessions, task lists and schedules of all agents."""

from tests.e2e.cli.terminal import Terminal

ANN = ("--agent-name", "ann")


def test_tasks_of_all_agents_are_listed_by_their_state(tenant: Terminal) -> None:
    task = tenant.run_quiet("spawn", "run", "Add 2 and 3", *ANN, "--no-wait")

    shown = tenant.run("spawn", "list-any", "--no-json").stdout
    assert "Add 2 and 3" in shown
    assert "0 of 3" in shown
    assert task in tenant.run_quiet("spawn", "list-any", "--state", "submitted").split()
    assert task not in tenant.run_quiet("spawn", "list-any", "--state", "ended").split()


def test_sessions_of_all_agents_are_listed_with_their_last_message(tenant: Terminal) -> None:
    tenant.run_json("sessions", "send", "agent:ann:main", "hello\nworld", *ANN)

    (found,) = tenant.run_json("sessions", "list-any", "--filter", "ann:main")
    assert (found["key"], found["lastMessage"]["text"]) == ("agent:ann:main", "hello\nworld")
    assert "hello" in tenant.run("sessions", "list-any", "--no-json").stdout


def test_tasks_of_lists_are_listed_with_what_blocks_them(tenant: Terminal) -> None:
    for subject, blockers in (("first", ()), ("second", ("--blocked-by", "1"))):
        tenant.run_json("tasks", "create", subject, "--list", "weekly", *blockers, *ANN)

    found = tenant.run_json("tasks", "list-any", "--list", "weekly", "--status", "pending")
    assert [(one["subject"], one["blocked_by"]) for one in found] == [
        ("first", []),
        ("second", ["1"]),
    ]
    assert "second" in tenant.run("tasks", "list-any", "--no-json").stdout


def test_schedules_of_all_agents_are_listed(tenant: Terminal) -> None:
    schedule = tenant.run_quiet("schedules", "create", "Report", "--every", "300", *ANN)

    shown = tenant.run("schedules", "list-any", "--no-json").stdout
    assert "every 300 s" in shown
    assert schedule in tenant.run_quiet("schedules", "list-any").split()
