"""Tables whose rows are only ever added: the database itself refuses to change or delete them.

The refusal is a part of the table: whatever creates the table creates it too. A superuser can
still take it away, and then the chain of hashes tells (eventlog/hash_chain.py).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import DDL, Table, event

_FUNCTION = "FUNCTION %(table)s_are_append_only() RETURNS trigger"
_REFUSED = "'%(table)s are append-only'"
_EACH_CHANGE = "BEFORE UPDATE OR DELETE ON %(table)s"
_TRUNCATE = "BEFORE TRUNCATE ON %(table)s"
_CALL_IT = "EXECUTE FUNCTION %(table)s_are_append_only()"


def append_only(table: Table, *, but: str | None = None) -> Table:
    """The same table, whose creation also makes it append-only.

    ``but`` is SQL about a row ``OLD`` that may be deleted all the same.
    """
    for dialect, statements in _refusals(but).items():
        for statement in statements:
            refusal = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", refusal)
    return table


def _refusals(but: str | None) -> Mapping[str, Sequence[str]]:
    kept = f"WHEN NOT ({but}) " if but else ""
    passed = f"IF TG_OP = 'DELETE' THEN IF {but} THEN RETURN OLD; END IF; END IF; " if but else ""
    refusal = f"BEGIN {passed}RAISE EXCEPTION {_REFUSED}; END"
    return {
        "sqlite": [
            f"CREATE TRIGGER %(table)s_no_{change} BEFORE {change} ON %(table)s {when}"
            f"BEGIN SELECT RAISE(ABORT, {_REFUSED}); END"
            for change, when in (("update", ""), ("delete", kept))
        ],
        "postgresql": [
            f"CREATE OR REPLACE {_FUNCTION} LANGUAGE plpgsql AS $$ {refusal} $$",
            f"CREATE TRIGGER %(table)s_no_change {_EACH_CHANGE} FOR EACH ROW {_CALL_IT}",
            f"CREATE TRIGGER %(table)s_no_truncate {_TRUNCATE} FOR EACH STATEMENT {_CALL_IT}",
        ],
    }
