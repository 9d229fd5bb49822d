"""Every statement is restricted to a tenant, except those that are listed with a reason."""

import re
from pathlib import Path

import pytest

from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.conformance.projections.test_indexes import queries

_COMPARED = re.compile(r"\btenant\b(?:(?! AND )[^=<>])*= ")
# The name of a statement, and why it concerns all tenants.
ACROSS_TENANTS = {
    "log.log_id": "the id is of the whole log",
    "log.append": "rows carry their tenant",
    "log.head": "the position is common to all tenants",
    "log.after": "the relay, replicas and rebuilds follow all tenants",
    "log.archived": "an archive contains all tenants",
    "log.archived_heads": "an archive contains all tenants",
    "answers.insert": "rows carry their tenant",
    "answers.count_expired": "expired idempotency keys of all tenants are deleted together",
    "answers.prune": "expired idempotency keys of all tenants are deleted together",
    "states.tenant.id:tenant": "the id is the tenant",
    "log.time": "the clock of the database; only PostgreSQL has it",
    "reader.key": "the key tells which tenant calls",
    "reader.valid_keys": "connected keys of all tenants are checked together",
    "expired_keys.page": "the connections of all tenants are closed together",
    "reader.tenant": "the id is the tenant",
    "tenants.tenant": "the id is the tenant",
    "tenants.page": "operators list all tenants",
    "tenants.restricted": "each process knows all suspended tenants and their limits",
    "contents.insert": "rows carry their tenant",
    "contents.insert_unindexed": "rows carry their tenant",
    "mail_domains.labelled": "the first label of a domain tells which tenant receives",
    "due_mail.oldest": "the relay sends the mail of all tenants",
    "due_mail.count": "the relay sends the mail of all tenants",
    "overdue.mail_entry": "the deadline scheduler works for all tenants",
    "overdue.lease": "the deadline scheduler works for all tenants",
    "overdue.consensus": "the deadline scheduler works for all tenants",
    "overdue.task": "the deadline scheduler works for all tenants",
}


def conditions(sql: str) -> str:
    """What a statement compares: its WHERE and ON clauses."""
    text = " ".join(sql.split())
    where = text.partition(" WHERE ")[2]
    joins = " ".join(re.findall(r" ON (.*?)(?= WHERE | JOIN |$)", text))
    return f"{where} AND {joins}"


@pytest.mark.parametrize("database", DATABASES)
async def test_statement_is_restricted_to_a_tenant(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        found = {name: conditions(query.sql) for name, query in queries(stage).items()}

    unrestricted = {name for name, compared in found.items() if not _COMPARED.search(compared)}
    assert unrestricted == set(ACROSS_TENANTS) & set(found)
    assert set(ACROSS_TENANTS) - set(found) <= {"log.time"}


def test_a_statement_without_a_tenant_is_found() -> None:
    assert not _COMPARED.search(conditions("SELECT * FROM leases WHERE leases.id = ?"))
    assert _COMPARED.search(conditions("SELECT * FROM leases WHERE leases.tenant = ? AND id = ?"))
