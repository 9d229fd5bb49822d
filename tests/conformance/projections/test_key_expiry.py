"""A key that has expired is not valid any more, and is reported once for its connections."""

from pathlib import Path

import pytest

from quorate.domain.identity.api_keys import IssueKey, RevokeKey
from quorate.domain.identity.tenants import CreateTenant
from quorate.projections import expired_keys
from quorate.projections.expired_keys import ExpiredKeys
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import ADMIN_KEY


def issue(key_id: str, seconds: int | None) -> IssueKey:
    return IssueKey(
        caller=ADMIN_KEY,
        key_id=key_id,
        role="auditor",
        secret_hash="5eed",
        new_agent_id="",
        expires_in_seconds=seconds,
    )


async def issue_keys(stage: ProjectionStage, keys: dict[str, int | None]) -> None:
    await stage.submit(CreateTenant(tenant_id="acme"))
    for key_id, seconds in keys.items():
        await stage.submit(issue(key_id, seconds))


@pytest.mark.parametrize("database", DATABASES)
async def test_expired_key_is_not_valid(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await issue_keys(stage, {"never": None, "soon": 60, "later": 61})
        asked = ("never", "soon", "later", "unknown")
        assert await stage.reader.valid_keys(asked) == {"never", "soon", "later"}

        stage.clock.move(minutes=1)

        assert await stage.reader.valid_keys(asked) == {"never", "later"}


@pytest.mark.parametrize("database", DATABASES)
async def test_each_expired_key_is_found_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expired_keys, "EXPIRED_PER_QUERY_MAX", 2)  # Several pages.
    async with open_stage(database, tmp_path) as stage:
        together = {f"key-{number}": 60 for number in range(5)}
        await issue_keys(stage, {**together, "never": None, "revoked": 60, "later": 63})
        await stage.submit(RevokeKey(caller=ADMIN_KEY, key_id="revoked"))
        found = ExpiredKeys(stage.log, stage.clock)
        assert list(await found.find_next()) == []

        stage.clock.move(minutes=1)
        assert list(await found.find_next()) == list(together)
        assert list(await found.find_next()) == []

        stage.clock.move(minutes=0.05)
        assert list(await found.find_next()) == ["later"]
        stage.clock.move(minutes=60)
        assert list(await found.find_next()) == []
