"""Answers that were given under an idempotency key, kept for ANSWERS_KEPT_HOURS.

The same key and the same request get the same answer, also after a restart; they are written in
the transaction that did what they report.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, delete, func, insert, select, tuple_

from quorate.domain.shared.timestamps import MILLISECONDS_PER_MINUTE, Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from quorate.eventlog.tables import answers
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.eventlog.unit_of_work import Remembered, Scope

ANSWERS_KEPT_HOURS = 72
PRUNED_PER_BATCH_MAX = 500
_KEPT_MILLISECONDS = ANSWERS_KEPT_HOURS * 60 * MILLISECONDS_PER_MINUTE


class IdempotencyStore:
    def __init__(self, database: Database) -> None:
        asked, cells = database.rows("scopes", 4)
        key = list(answers.primary_key)
        same = and_(*(column == cell for column, cell in zip(key, cells, strict=True)))
        old = select(*key).where(answers.c.at < bindparam("kept_since"))
        oldest = old.order_by(answers.c.at).limit(PRUNED_PER_BATCH_MAX)
        self._select = Query(
            select(answers).select_from(asked.join(answers, same)), database.dialect
        )
        self._insert = Query(insert(answers), database.dialect)
        due = select(func.count().label("due")).select_from(oldest.subquery())
        self._due = Query(due, database.dialect)
        self._prune = Query(delete(answers).where(tuple_(*key).in_(oldest)), database.dialect)

    def lookups(
        self, scopes: Sequence[Scope], remembered: dict[Scope, Remembered]
    ) -> Sequence[Lookup]:
        """What to ask in order to fill ``remembered`` with what was answered to ``scopes``."""

        def take(rows: Sequence[Any]) -> None:
            for row in rows:
                remembered[row.tenant, row.caller, row.command, row.key] = Remembered(
                    fingerprint=row.fingerprint, answer=_answer(row.code, row.body, row.sequence)
                )

        values = {"scopes": orjson.dumps(scopes).decode()}
        return [Lookup(query=self._select, values=values, take=take)] if scopes else []

    async def save(
        self, transaction: DatabaseTransaction, given: dict[Scope, Remembered], now: Timestamp
    ) -> None:
        if not given:
            return
        rows = [
            (
                *scope,
                one.fingerprint,
                one.answer.code if isinstance(one.answer, Rejected) else None,
                _body(one.answer),
                one.answer.sequence,
                now,
            )
            for scope, one in given.items()
        ]
        await transaction.write(self._insert, rows)

    async def prune(self, transaction: DatabaseTransaction, now: Timestamp) -> bool:
        """Forget the oldest, a few at a time, so that no command ever waits for a clean-up.

        True when there may be more to forget.
        """
        values = {"kept_since": now - _KEPT_MILLISECONDS}
        ((due,),) = await transaction.fetch(self._due, values)
        if due:
            await transaction.write(self._prune, [self._prune.bind(values)])
        return bool(due == PRUNED_PER_BATCH_MAX)


def _body(answer: CommandResult) -> str:
    if isinstance(answer, Accepted):
        return answer.body.decode()
    return orjson.dumps(answer.facts).decode()


def _answer(code: str | None, body: str, sequence: int) -> CommandResult:
    if code is None:
        return Accepted(body=body.encode(), sequence=sequence)
    return Rejected(code=code, facts=orjson.loads(body), sequence=sequence)
