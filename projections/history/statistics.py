"""Tell the planner of SQLite how selective the indexes of the history are.

SQLite assumes that ten rows have the same first column of an index, and that a list of nodes is
long. So it would read all versions of a tenant instead of those at about 20 nodes. It keeps numbers
that it reads when a database is opened in ``sqlite_stat1``, where they may be written by hand. Only
the history has such numbers. PostgreSQL collects its own.
"""

from sqlalchemy import Connection, Table, insert
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from quorate.projections.history.tables import IS_OPEN, metadata

ROWS = 1_000_000
ROWS_OPEN = 10_000  # Of the index of open versions.
ROWS_OF_ONE = 1_000  # Of one agent, contact or task.
ROWS_AT_NODE = 10
_TENANT = frozenset({"tenant", "(tenant || '')"})
_STATISTICS = sql_table("sqlite_stat1", sql_column("tbl"), sql_column("idx"), sql_column("stat"))


def store_statistics(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    connection.exec_driver_sql("ANALYZE history_progress")  # Creates the table of the numbers.
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    rows = [
        {"tbl": table.name, "idx": index, "stat": _numbers(index, columns, count)}
        for table in metadata.sorted_tables
        for index, columns, count in _indexes(table)
    ]
    connection.execute(insert(_STATISTICS), rows)


def _indexes(table: Table) -> list[tuple[str, list[str], int]]:
    """Return the name and the columns of each index, and its number of rows."""
    if "node" not in table.c:
        return []
    key = [column.name for column in table.primary_key]
    found = [(f"sqlite_autoindex_{table.name}_1", key, ROWS)]
    for index in table.indexes:
        names = [getattr(one, "name", None) or str(one) for one in index.expressions]
        is_open = str(index.dialect_options["sqlite"]["where"]) == IS_OPEN
        found.append((str(index.name), names, ROWS_OPEN if is_open else ROWS))
    return found


def _numbers(name: str, columns: list[str], rows: int) -> str:
    """Return the number of rows, and how many of them agree in the first 1, 2, ... columns."""
    is_unique = rows == ROWS_OPEN or name.startswith("sqlite_autoindex")
    numbers = [rows]
    for place, column in enumerate(columns, start=1):
        if place == len(columns):
            numbers.append(1 if is_unique else ROWS_AT_NODE)
        else:
            numbers.append(rows if column in _TENANT else ROWS_OF_ONE)
    return " ".join([*map(str, numbers), "noskipscan"])
