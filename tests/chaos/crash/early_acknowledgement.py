"""A faulty `quorate serve` that responds just before it commits.

The pause between the two simulates a slow disk. This program replaces the real service, to prove
that the crash tests detect the fault.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from quorate.cli.main import main
from quorate.domain.commands import Names
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult
from quorate.eventlog.sqlite.connection import SqliteTransaction
from quorate.eventlog.unit_of_work import UnitOfWork

SECONDS_BEFORE_THE_COMMIT = 0.05

_settle, _take, _commit = CommandBus._settle, UnitOfWork.take, SqliteTransaction.commit
_waiting: dict[int, "asyncio.Future[CommandResult]"] = {}
_decided: list[tuple[int, CommandResult]] = []


async def settle(door: CommandBus, waiting: Sequence[Any]) -> None:
    _waiting.clear()
    _waiting.update({id(order): future for order, future in waiting})
    await _settle(door, waiting)


def take(batch: UnitOfWork, order: CommandEnvelope, about: Names) -> CommandResult:
    answer = _take(batch, order, about)
    _decided.append((id(order), answer))
    return answer


async def commit(transaction: SqliteTransaction) -> None:
    for order, answer in _decided:
        if order in _waiting and not _waiting[order].done():
            _waiting[order].set_result(answer)
    _decided.clear()
    await asyncio.sleep(SECONDS_BEFORE_THE_COMMIT)
    await _commit(transaction)


if __name__ == "__main__":
    CommandBus._settle = settle  # type: ignore[method-assign, assignment]
    UnitOfWork.take = take  # type: ignore[method-assign, assignment]
    SqliteTransaction.commit = commit  # type: ignore[method-assign, assignment]
    main()
