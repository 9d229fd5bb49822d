"""Append-only tables: triggers make the database reject updates and deletions.

The triggers are created together with the table. A superuser can remove them; the hash chain
detects changes that are made then (eventlog/hash_chain.py).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import DDL, Table, event

_FUNCTION = "FUNCTION %(table)s_are_append_only() RETURNS trigger"
_MESSAGE = "'%(table)s are append-only'"
_EACH_CHANGE = "BEFORE UPDATE OR DELETE ON %(table)s"
_TRUNCATE = "BEFORE TRUNCATE ON %(table)s"
_CALL_IT = "EXECUTE FUNCTION %(table)s_are_append_only()"


def append_only(table: Table, *, deletable: str | None = None) -> Table:
    """Register the triggers to be created with ``table``, and return ``table``.

    ``deletable`` is a SQL condition on the row ``OLD``; rows that meet it may be deleted.
    """
    for dialect, statements in _triggers(deletable).items():
        for statement in statements:
            trigger = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", trigger)
    return table


def _triggers(deletable: str | None) -> Mapping[str, Sequence[str]]:
    protected = f"WHEN NOT ({deletable}) " if deletable else ""
    allowed = (
        f"IF TG_OP = 'DELETE' THEN IF {deletable} THEN RETURN OLD; END IF; END IF; "
        if deletable
        else ""
    )
    body = f"BEGIN {allowed}RAISE EXCEPTION {_MESSAGE}; END"
    return {
        "sqlite": [
            f"CREATE TRIGGER %(table)s_no_{change} BEFORE {change} ON %(table)s {when}"
            f"BEGIN SELECT RAISE(ABORT, {_MESSAGE}); END"
            for change, when in (("update", ""), ("delete", protected))
        ],
        "postgresql": [
            f"CREATE OR REPLACE {_FUNCTION} LANGUAGE plpgsql AS $$ {body} $$",
            f"CREATE TRIGGER %(table)s_no_change {_EACH_CHANGE} FOR EACH ROW {_CALL_IT}",
            f"CREATE TRIGGER %(table)s_no_truncate {_TRUNCATE} FOR EACH STATEMENT {_CALL_IT}",
        ],
    }
