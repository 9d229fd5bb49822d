"""Cancels the block that a task is in, in the manner of ``asyncio.timeout``.

* Only somebody else interrupts: a task that finds out by itself raises instead.
* A cancellation from outside stays a cancellation, also when both come at once; of several nested
  blocks that are interrupted at once, the outermost answers for it.
"""

import asyncio


class Interruption:
    """Of the block that the present task enters now."""

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a block belongs to a task"
        self._task = task
        self._cancelling = task.cancelling()
        self._asked = False
        self._known = False

    def interrupt(self) -> None:
        """Cancel the block, once; not when it is over, or when it knows because it calls this."""
        if self._known:
            return
        self._known = True
        if _current_task() is not self._task:
            self._asked = True
            self._task.cancel()

    def over(self, kind: type[BaseException] | None) -> bool:
        """The block has ended with ``kind``: whether that is our cancellation, and no other."""
        self._known = True
        if not self._asked:
            return False
        others = self._task.uncancel() > self._cancelling
        return not others and kind is not None and issubclass(kind, asyncio.CancelledError)


def _current_task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None  # Called from a callback, or from another thread.
