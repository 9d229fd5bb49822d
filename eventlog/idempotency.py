"""Stored responses to commands with an idempotency key, kept for RESPONSES_KEPT_HOURS.

The same key with the same request gets the same response, also after a restart. A response is
committed in the transaction of its command. A response that states a right in time is judged again
at each repetition (``UnitOfWork``), and another decision takes its place.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, delete, func, insert, select, tuple_, update

from quorate.domain.shared.timestamps import MILLISECONDS_PER_MINUTE, Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from quorate.eventlog.tables import answers
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query
from quorate.eventlog.unit_of_work import Remembered, Scope

RESPONSES_KEPT_HOURS = 72
PRUNED_PER_BATCH_MAX = 500
_KEPT_MILLISECONDS = RESPONSES_KEPT_HOURS * 60 * MILLISECONDS_PER_MINUTE


class IdempotencyStore:
    def __init__(self, database: Database) -> None:
        scopes, cells = database.rows("scopes", 4)
        key = list(answers.primary_key)
        same = and_(*(column == cell for column, cell in zip(key, cells, strict=True)))
        old = select(*key).where(answers.c.at < bindparam("kept_since"))
        oldest = old.order_by(answers.c.at).limit(PRUNED_PER_BATCH_MAX)
        self._select = Query(
            select(answers).select_from(scopes.join(answers, same)), database.dialect
        )
        self._insert = Query(insert(answers), database.dialect)
        this = and_(*(column == bindparam(f"its_{column.name}") for column in key))
        values: dict[str, Any] = {
            name: bindparam(f"new_{name}") for name in ("code", "body", "sequence", "at")
        }
        self._update = Query(update(answers).where(this).values(values), database.dialect)
        expired = select(func.count().label("expired")).select_from(oldest.subquery())
        self._count_expired = Query(expired, database.dialect)
        self._prune = Query(delete(answers).where(tuple_(*key).in_(oldest)), database.dialect)

    def lookups(
        self, scopes: Sequence[Scope], remembered: dict[Scope, Remembered]
    ) -> Sequence[Lookup]:
        """Return the lookup that fills ``remembered`` with the stored responses to ``scopes``."""

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

    async def replace(
        self, transaction: DatabaseTransaction, given: dict[Scope, Remembered], now: Timestamp
    ) -> None:
        """Store other responses under keys that are stored already."""
        if not given:
            return
        names = [f"its_{column.name}" for column in answers.primary_key]
        rows = []
        for scope, one in given.items():
            new = {
                "new_code": one.answer.code if isinstance(one.answer, Rejected) else None,
                "new_body": _body(one.answer),
                "new_sequence": one.answer.sequence,
                "new_at": now,
            }
            rows.append(self._update.bind(dict(zip(names, scope, strict=True)) | new))
        await transaction.write(self._update, rows)

    async def prune(self, transaction: DatabaseTransaction, now: Timestamp) -> bool:
        """Delete the oldest expired responses, few at a time, so that commands do not wait.

        Returns True when there may be more to delete.
        """
        values = {"kept_since": now - _KEPT_MILLISECONDS}
        ((expired,),) = await transaction.fetch(self._count_expired, values)
        if expired:
            await transaction.write(self._prune, [self._prune.bind(values)])
        return bool(expired == PRUNED_PER_BATCH_MAX)


def _body(answer: CommandResult) -> str:
    if isinstance(answer, Accepted):
        return answer.body.decode()
    return orjson.dumps(answer.facts).decode()


def _answer(code: str | None, body: str, sequence: int) -> CommandResult:
    if code is None:
        return Accepted(body=body.encode(), sequence=sequence)
    return Rejected(code=code, facts=orjson.loads(body), sequence=sequence)
