"""The tables of one version made those of the next, with everything that the log says.

Adding a projection, or a column of one:

1. Change ``projections/tables.py``, ``rows.py``, ``folding.py`` (``Fold.rest``) and ``board.py``.
2. Write ``versions/r0003_<what_it_brings>.py`` after the pattern of ``r0002``. It defines, with
   Alembic's ``op``, what is new, in full: nothing of ``tables.py`` is imported, because that goes
   on changing. Text columns are ``text()`` of ``columns.py``, keyed tables WITHOUT ROWID.
3. Name in its ``FILLED`` the projections whose rows the log has to give, new ones and old ones with
   a new column. Nothing else is to be done for them: after the last revision they are folded from
   the log by the code of today, in the same transaction. ``FILLED = ()`` fills nothing.
4. Append its number to ``REVISIONS`` in ``revisions.py``.

``tests/conformance/projections/test_upgrading*.py`` then compare, on both databases, what the revisions made
with what ``tables.py`` says, and what was filled with what the log says.

What must stay true:

* Events are never rewritten, nor is anything that the log cannot give again.
* An upgrade is one transaction: who breaks it off finds the tables of before.
* Within a major version a revision only adds: tables, indexes, columns that may be null or have a
  default in the database. So a replica of the version before goes on working beside the new one.
  What it appends reaches new projections with the next ``quorate rebuild``; who needs it earlier
  keeps in its rows up to which sequence of the tenant they are, and catches up.
* Alembic is imported by upgrades only: a start on today's tables does not wait for it.
"""
