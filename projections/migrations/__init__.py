"""Upgrade the tables of one version to those of the next, with everything that the log contains.

To add a read model, or a column of one:

1. Change the table and the row mapping in ``projections/<context>/<aggregate>.py``.
2. Write ``versions/r0003_<what_it_adds>.py`` after the pattern of ``r0002``. It defines what is new
   with Alembic's ``op``, in full: it imports no table of today, because those will change. Text
   columns are ``text()`` of ``columns.py``; keyed tables are WITHOUT ROWID.
3. Name in its ``FILLED`` the tables whose rows come from the log: new ones, and old ones with a new
   column. After the last revision the code of today fills them from the log, in the same
   transaction. ``FILLED = ()`` fills nothing.
4. Append its number to ``REVISIONS`` in ``revisions.py``.

``tests/conformance/projections/test_migrations.py`` compares, on both databases, the tables that
the revisions made with those of today, and the filled rows with those of the log.

Guarantees:

* Events are never rewritten, nor is anything that the log cannot give again.
* An upgrade is one transaction: if it is interrupted, the old tables are still there.
* Within a major version a revision only adds: tables, indexes, columns that may be null or have a
  default in the database. A replica of the previous version therefore keeps working beside a new
  one. What it appends reaches new read models with the next ``quorate rebuild``. A read model that
  needs it earlier stores in its rows up to which sequence they are complete, and catches up.
* Only upgrades import Alembic: a start on today's tables does not wait for it.
"""
