"""`quorate keys` and `quorate tenants`: a key is printed at most once."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.cli.terminal import Terminal, new_tenant_name
from tests.e2e.service.service_process import ServiceProcess


def test_revoked_key_is_rejected_with_advice(tenant: Terminal) -> None:
    key = tenant.run_quiet("keys", "issue", "--role", "auditor")
    assert tenant.run_json("keys", "revoke", key) == {"revoked": True}
    tenant.set_key(key)

    result = tenant.run("agents", "list")

    assert result.exit_code == 4
    assert "QUORATE_API_KEY" in result.stderr


def test_key_is_printed_once_and_listed_without_secret(tenant: Terminal) -> None:
    issued = tenant.run("keys", "issue", "--role", "auditor")
    listed = tenant.run("keys", "list").output + tenant.run("keys", "list", "--json").output

    assert "qk_" in issued.stdout
    assert "not shown again" in issued.stderr
    assert "qk_" not in listed
    assert "auditor" in listed


def test_key_is_rotated_and_its_expiry_is_shown(tenant: Terminal) -> None:
    old = tenant.run_quiet("keys", "issue", "--role", "auditor", "--expires-in", "90d")
    assert "expires" in tenant.run("keys", "get", old).stdout

    new = tenant.run_quiet("keys", "rotate", old, "--expires-in", "2h")

    assert "is revoked" in tenant.run("keys", "get", old).stdout
    found = tenant.run_json("keys", "get", new)
    assert (found["role"], found["revokedAt"]) == ("auditor", None)
    issued, expires = (datetime.fromisoformat(found[at]) for at in ("createdAt", "expiresAt"))
    assert expires - issued == timedelta(hours=2)
    overlapping = tenant.run("keys", "rotate", new, "--overlap", "1h")
    assert "not shown again" in overlapping.stderr
    assert "is active" in tenant.run("keys", "get", new).stdout
    assert tenant.run("keys", "rotate", new, "--overlap", "8d").exit_code == 2
    assert tenant.run("keys", "issue", "--role", "auditor", "--expires-in", "1s").exit_code == 2


def test_keys_self_describes_each_role(tenant: Terminal) -> None:
    assert "every agent of tenant" in tenant.run("keys", "self").stdout
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "auditor"))
    assert "may read" in tenant.run("keys", "self").stdout
    assert "admin key" in tenant.run("keys", "self", "--as-operator").stdout


def test_forbidden_command_is_reported_per_role(tenant: Terminal) -> None:
    tenant.set_key(tenant.run_quiet("keys", "issue", "--role", "agent", "--agent-name", "ann"))

    assert tenant.run("keys", "list").exit_code == 4
    another = tenant.run("agents", "heartbeat", "--agent-name", "bob")
    assert another.exit_code == 4
    assert "Omit --agent-id and --agent-name" in another.stderr
    assert "the key is from QUORATE_API_KEY" in another.stderr


def test_tenant_is_created_once(tenant: Terminal) -> None:
    name = new_tenant_name()

    assert tenant.run("tenants", "create", name).exit_code == 0
    assert tenant.run("tenants", "create", name).exit_code == 3


def test_only_the_admin_key_creates_tenants(
    tenant: Terminal, real: ServiceProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUORATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("QUORATE_URL", real.url)

    result = tenant.run("tenants", "create", "mine")

    assert result.exit_code == 4
    assert "QUORATE_ADMIN_KEY" in result.stderr


def test_issued_key_is_saved_to_a_context_without_printing(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("keys", "issue", "--role", "agent", "--agent-name", "ann", "--save-as", "ann")

    issued = tenant.run(*words)
    again = tenant.run(*words)

    assert issued.exit_code == 0
    assert "qk_" not in issued.output
    assert again.exit_code == 1
    assert len(tenant.run_json("keys", "list")) == 2, "no key is issued that cannot be stored"
    monkeypatch.delenv("QUORATE_API_KEY")
    assert tenant.run_json("keys", "self", "--context", "ann")["agentName"] == "ann"
    assert tenant.run("agents", "heartbeat", "--context", "ann").exit_code == 0
