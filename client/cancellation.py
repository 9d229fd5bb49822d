"""Cancel the block that a task is in, in the manner of ``asyncio.timeout``.

Guarantees:

* Only another task, callback or thread cancels the block. If the task itself calls ``cancel``, it
  is not cancelled; the caller raises instead.
* A cancellation from outside stays a ``CancelledError``, also when both happen at once.
* When several nested blocks are cancelled at once, the outermost block reports it.
"""

import asyncio


class CancelScope:
    """The block that the current task enters now."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "A cancel scope needs a task"
        self._task = task
        self._cancelling_before = task.cancelling()
        self._has_cancelled = False
        self._is_closed = False

    def cancel(self) -> None:
        """Cancel the block, at most once.

        No effect after the end of the block, or when the task of the block calls this itself.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if _current_task() is not self._task:
            self._has_cancelled = True
            self._task.cancel()

    def close(self, exception_type: type[BaseException] | None) -> bool:
        """End the block; return whether its exception is the cancellation by this scope alone."""
        self._is_closed = True
        if not self._has_cancelled:
            return False
        other_cancellations = self._task.uncancel() > self._cancelling_before
        return (
            not other_cancellations
            and exception_type is not None
            and issubclass(exception_type, asyncio.CancelledError)
        )


def _current_task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None  # The caller is a callback or another thread.
