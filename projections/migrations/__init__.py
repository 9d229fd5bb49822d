"""Upgrade the tables of one version to those of the next, and fill new ones from the log.

To add a read model, or a column of one:

1. Change the table and the row mapping in ``projections/<context>/<aggregate>.py``.
2. Write ``versions/r0003_<what_it_adds>.py`` after the pattern of ``r0002``. It defines the new
   tables and columns in full, with Alembic's ``op``. It imports no current table, because current
   tables will change. Text columns are ``text()`` of ``columns.py``; keyed tables are WITHOUT
   ROWID.
3. Name in its ``FILLED`` the tables whose rows come from the log: new ones, and old ones with a new
   column. After the last revision the current code fills them from the log, in the same
   transaction. ``FILLED = ()`` fills nothing.
4. Append its number to ``REVISIONS`` in ``revisions.py``.

The history of the read models (``projections/history``) is not part of any revision. Its tables are
made from the current ones, and each upgrade creates them again, empty.

``tests/conformance/projections/test_migrations.py`` compares, on both databases, the tables after
all revisions with the current tables, and the filled rows with a replay of the log.

Guarantees:

* Events are never rewritten. Neither is any other data that cannot be rebuilt from the log.
* An upgrade is one transaction: if it is interrupted, the old tables remain.
* Within a major version a revision only adds: tables, indexes, columns that may be null or have a
  default in the database. A replica of the previous version therefore keeps working beside a new
  one. What it appends reaches new read models with the next ``quorate rebuild``. A read model that
  needs it earlier stores in its rows up to which sequence they are complete, and catches up.
* Only upgrades import Alembic: a start on current tables does not wait for it.
"""
