"""The database schema of all read models, and helpers for their columns."""

from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, MetaData, null
from sqlalchemy import text as sql

metadata = MetaData()

Values: TypeAlias = tuple[Any, ...]  # A row in the order of its table's columns.
Row: TypeAlias = Any  # A row that was read, its columns by name.
# A column whose new value is added to the stored one, so that a transaction need not read it.
ADDED = "added"
# The columns for which an index is not searched: it contains them, so that a count reads no rows.
CONTAINED = "contained"


def without(left_out: Column[Any]) -> list[ColumnElement[Any]]:
    """Return all columns of the table, with null in place of ``left_out``, which may be long."""
    return [
        null().label(column.name) if column is left_out else column
        for column in left_out.table.columns
    ]


__all__ = ["ADDED", "CONTAINED", "Row", "Values", "metadata", "sql", "without"]
