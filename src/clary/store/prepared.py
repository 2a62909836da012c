"""Statements that every request needs, put together once: SQLAlchemy takes longer for that than SQLite to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect

Row = tuple[Any, ...]
_Process = Callable[[Any], Any]
_Statement = sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]] | sa.Insert | sa.Update | sa.Delete


class _Compiled:
    """A statement in one dialect: its text, and how its parameters and rows are converted (by their types)."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        types = [column.type for column in getattr(statement, "selected_columns", ())]
        self.text = str(compiled)
        self._positional = compiled.positional
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._binds = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
        ]
        self._types = [each.dialect_impl(dialect) for each in types]
        self._dialect = dialect
        self._processes: list[tuple[int, _Process]] | None = None

    def parameters(self, given: Mapping[str, Any]) -> Any:
        given = {**self._constants, **given}
        values = [process(given[name]) if process else given[name] for name, process in self._binds]
        return (
            values if self._positional else {name: value for (name, _), value in zip(self._binds, values, strict=True)}
        )

    def row(self, cursor: Any, values: Row) -> Row:
        processes = self._processing(cursor)
        return _processed(values, processes) if processes else tuple(values)

    def rows(self, cursor: Any, values: Sequence[Row]) -> list[Row]:
        processes = self._processing(cursor)
        if not processes:
            return list(values)
        return [_processed(row, processes) for row in values]

    def _processing(self, cursor: Any) -> list[tuple[int, _Process]]:
        processes = self._processes
        if processes is None:  # only an answer tells the driver's types
            described = zip(self._types, cursor.description, strict=True)
            columns = [each.result_processor(self._dialect, column[1]) for each, column in described]
            processes = self._processes = [(at, process) for at, process in enumerate(columns) if process is not None]
        return processes


def _processed(row: Row, processes: Sequence[tuple[int, _Process]]) -> Row:
    values = list(row)
    for at, process in processes:
        if values[at] is not None:  # what no type converts
            values[at] = process(values[at])
    return tuple(values)


class Prepared:
    """A statement of SQLAlchemy that the driver runs, in the transaction of the connection's other statements and with
    the errors that those raise. Its parameters are named by `given`, one value for each; an INSERT names its columns.
    Rows are plain tuples in the order of the statement's columns."""

    def __init__(
        self,
        statement: sa.Select[*tuple[Any, ...]]
        | sa.CompoundSelect[*tuple[Any, ...]]
        | sa.Insert
        | sa.Update
        | sa.Delete,
    ) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: Connection, given: Mapping[str, Any]) -> Row | None:
        """The first row, None when there is none."""
        compiled, cursor = self._run(connection, given)
        row = cursor.fetchone()
        found = None if row is None else compiled.row(cursor, row)
        cursor.close()
        return found

    def rows(self, connection: Connection, given: Mapping[str, Any]) -> list[Row]:
        compiled, cursor = self._run(connection, given)
        found = compiled.rows(cursor, cursor.fetchall())
        cursor.close()
        return found

    def run(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """For what gives no rows: how many it changed."""
        cursor = self._run(connection, given)[1]
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def _statement_for(self, _: Dialect) -> Any:
        return self._statement

    def _run(self, connection: Connection, given: Mapping[str, Any]) -> tuple[_Compiled, Any]:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement_for(dialect), dialect)
        driver: Any = connection.connection.driver_connection
        # A read of SQLite's is in a transaction of which only the driver knows.
        if not (driver.in_transaction if dialect.name == "sqlite" else connection.in_transaction()):
            connection.begin()
        try:
            return compiled, driver.execute(compiled.text, compiled.parameters(given))
        except dialect.loaded_dbapi.Error as error:
            raise sa.exc.DBAPIError.instance(
                compiled.text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
            ) from error


class Unless(Prepared):
    """An INSERT that enters nothing (`run` gives 0) where a row has one of the new one's unique values already."""

    def __init__(self, table: sa.Table) -> None:
        super().__init__(table.insert())
        self._table = table

    def _statement_for(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return sqlite.insert(self._table).on_conflict_do_nothing()
        from sqlalchemy.dialects import postgresql  # 2 MB that a server on SQLite does not need

        return postgresql.insert(self._table).on_conflict_do_nothing()


class Numbered(Prepared):
    """An INSERT into a table whose rows the database numbers (`number` is that column)."""

    def __init__(self, statement: sa.Insert, number: sa.Column[int]) -> None:
        super().__init__(statement)
        self._returning = statement.returning(number)

    def insert(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """The number of the new row."""
        _, cursor = self._run(connection, given)
        number = cursor.lastrowid if connection.dialect.name == "sqlite" else cursor.fetchone()[0]
        cursor.close()
        return int(number)

    def _statement_for(self, dialect: Dialect) -> Any:
        return self._statement if dialect.name == "sqlite" else self._returning  # old SQLites cannot return
