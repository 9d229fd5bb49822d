"""`quorate keys` and `quorate tenants`: a key is seen once, or never."""

from pathlib import Path

import pytest

from tests.e2e.cli.terminal import Terminal, new_tenant_name
from tests.e2e.service.service_process import Running


def test_a_revoked_key_is_refused_and_the_way_on_is_told(tenant: Terminal) -> None:
    key = tenant.id("keys", "issue", "--role", "auditor")
    assert tenant.gets("keys", "revoke", key) == {"revoked": True}
    tenant.holds(key)

    result = tenant.types("agents", "list")

    assert result.exit_code == 4
    assert "QUORATE_API_KEY" in result.stderr


def test_a_key_is_shown_once_and_listed_without_its_secret(tenant: Terminal) -> None:
    issued = tenant.types("keys", "issue", "--role", "auditor")
    listed = tenant.types("keys", "list").output + tenant.types("keys", "list", "--json").output

    assert "qk_" in issued.stdout
    assert "not shown again" in issued.stderr
    assert "qk_" not in listed
    assert "auditor" in listed


def test_whose_key_it_is_is_told_for_each_role(tenant: Terminal) -> None:
    assert "any agent of tenant" in tenant.types("keys", "self").stdout
    tenant.holds(tenant.id("keys", "issue", "--role", "auditor"))
    assert "may read" in tenant.types("keys", "self").stdout
    assert "operators" in tenant.types("keys", "self", "--as-operator").stdout


def test_what_a_role_may_not_do_is_told(tenant: Terminal) -> None:
    tenant.holds(tenant.id("keys", "issue", "--role", "agent", "--agent-name", "ann"))

    assert tenant.types("keys", "list").exit_code == 4
    another = tenant.types("agents", "heartbeat", "--agent-name", "bob")
    assert another.exit_code == 4
    assert "leave --agent-id and --agent-name out" in another.stderr


def test_a_tenant_is_made_once(tenant: Terminal) -> None:
    name = new_tenant_name()

    assert tenant.types("tenants", "create", name).exit_code == 0
    assert tenant.types("tenants", "create", name).exit_code == 3


def test_only_operators_make_tenants(
    tenant: Terminal, real: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QUORATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("QUORATE_URL", real.url)

    result = tenant.types("tenants", "create", "mine")

    assert result.exit_code == 4
    assert "QUORATE_ADMIN_KEY" in result.stderr


def test_a_key_can_go_into_a_context_without_being_seen(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("keys", "issue", "--role", "agent", "--agent-name", "ann", "--save-as", "ann")

    issued = tenant.types(*words)
    again = tenant.types(*words)

    assert issued.exit_code == 0
    assert "qk_" not in issued.output
    assert again.exit_code == 1
    assert len(tenant.gets("keys", "list")) == 2, "no key is issued that could not be kept"
    monkeypatch.delenv("QUORATE_API_KEY")
    assert tenant.gets("keys", "self", "--context", "ann")["agentName"] == "ann"
    assert tenant.types("agents", "heartbeat", "--context", "ann").exit_code == 0
