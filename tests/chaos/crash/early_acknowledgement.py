"""A faulty `quorate serve` that responds just before it commits.

The pause between the two simulates a slow disk. This program replaces the real service, to prove
that the crash tests detect the fault.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from quorate.cli.main import main
from quorate.domain.shared.aggregates import Reads
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult
from quorate.eventlog.sqlite.connection import SqliteTransaction
from quorate.eventlog.unit_of_work import UnitOfWork

SECONDS_BEFORE_THE_COMMIT = 0.4  # Most of the time of a batch, also on a slow machine.

_settle, _take, _commit = CommandBus._finish, UnitOfWork.execute, SqliteTransaction.commit
_waiting: dict[int, "asyncio.Future[CommandResult]"] = {}
_decided: list[tuple[int, CommandResult]] = []


async def settle(bus: CommandBus, waiting: Sequence[Any]) -> None:
    _waiting.clear()
    _waiting.update({id(envelope): future for envelope, future in waiting})
    await _settle(bus, waiting)


def take(unit_of_work: UnitOfWork, envelope: CommandEnvelope, reads: Reads) -> CommandResult:
    result = _take(unit_of_work, envelope, reads)
    _decided.append((id(envelope), result))
    return result


async def commit(transaction: SqliteTransaction) -> None:
    for envelope, result in _decided:
        if envelope in _waiting and not _waiting[envelope].done():
            _waiting[envelope].set_result(result)
    _decided.clear()
    await asyncio.sleep(SECONDS_BEFORE_THE_COMMIT)
    await _commit(transaction)


if __name__ in {"__main__", "__mp_main__"}:  # The second one is its name in its workers.
    CommandBus._finish = settle  # type: ignore[method-assign, assignment]
    UnitOfWork.execute = take  # type: ignore[method-assign, assignment]
    SqliteTransaction.commit = commit  # type: ignore[method-assign, assignment]
if __name__ == "__main__":
    main()
