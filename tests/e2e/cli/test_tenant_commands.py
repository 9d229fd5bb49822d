"""`quorate tenants` for operators, and `quorate quotas` for callers."""

from tests.e2e.cli.terminal import Terminal, new_tenant_name


def test_tenant_is_suspended_and_resumed(tenant: Terminal) -> None:
    name = tenant.run_json("keys", "self")["tenantId"]
    suspended = tenant.run("tenants", "suspend", name, "--no-json")
    rejected = tenant.run("agents", "list")
    shown = tenant.run_json("tenants", "get", name)
    resumed = tenant.run_json("tenants", "resume", name)

    assert suspended.stdout.startswith(f"Suspended tenant {name}.")
    assert rejected.exit_code == 4
    assert "Ask the operator to resume the tenant" in rejected.stderr
    assert shown["status"] == "suspended"
    assert resumed["status"] == "active"
    assert tenant.run("agents", "list").exit_code == 0


def test_tenant_is_paused_and_unpaused(tenant: Terminal) -> None:
    name = tenant.run_json("keys", "self")["tenantId"]
    why = ("--yes", "--reason", "Too much mail")
    paused = tenant.run("tenants", "pause", name, *why, "--no-json")
    rejected = tenant.run("agents", "register", "ann")
    read = tenant.run("agents", "list")
    shown = tenant.run("tenants", "get", name, "--no-json")
    listed = tenant.run("tenants", "list", "--limit", "10000", "--no-json")
    unpaused = tenant.run_json("tenants", "unpause", name, *why, "--as-tenant")

    assert paused.stdout.startswith(f"Paused tenant {name}.")
    assert (rejected.exit_code, read.exit_code) == (3, 0)
    assert "quorate tenants unpause" in rejected.stderr
    assert shown.stdout.startswith(f"Tenant {name} is paused.")
    assert any(line.split()[:2] == [name, "paused"] for line in listed.stdout.splitlines())
    assert "pausedAt" not in unpaused


def test_pause_asks_for_confirmation(tenant: Terminal) -> None:
    name = tenant.run_json("keys", "self")["tenantId"]
    refused = tenant.run("tenants", "pause", name, "--reason", "because")

    assert refused.exit_code != 0
    assert "becomes read only" in refused.stderr
    assert "pausedAt" not in tenant.run_json("tenants", "get", name)


def test_limits_of_a_tenant_are_set_listed_and_reset(tenant: Terminal) -> None:
    name = tenant.run_json("keys", "self")["tenantId"]
    found = tenant.run_json("tenants", "set-limits", name, "agents=500", "events-per-day=9000")
    listed = [
        {"tenantId": one["tenantId"], "limits": one["limits"]}
        for one in tenant.run_json("tenants", "list", "--limit", "10000")
    ]
    quotas = {one["quota"]: one for one in tenant.run_json("quotas")["quotas"]}
    table = tenant.run("quotas", "--no-json").stdout
    reset = tenant.run_json("tenants", "set-limits", name)

    assert found["limits"] == {"agents": 500, "eventsPerDay": 9000}
    assert {"tenantId": name, "limits": found["limits"]} in listed
    assert (quotas["agents"]["limit"], quotas["events_per_day"]["limit"]) == (500, 9000)
    assert "9,000" in table
    assert "reset at" in table
    assert reset["limits"] == {}


def test_wrong_limits_are_a_usage_error(tenant: Terminal) -> None:
    for wrong in ("agents", "agents=-1", "agents=many", "color=3"):
        assert tenant.run("tenants", "set-limits", "acme", wrong).exit_code == 2, wrong


def test_unknown_tenant_is_not_found(tenant: Terminal) -> None:
    for verb in ("get", "suspend", "resume", "set-limits"):
        assert tenant.run("tenants", verb, new_tenant_name()).exit_code == 5, verb
