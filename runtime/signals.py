"""Signals that this process may handle."""

import signal
from collections.abc import Iterable


def without_ignored(numbers: Iterable[signal.Signals]) -> tuple[signal.Signals, ...]:
    """Return the signals that were not ignored at the start of the process.

    ``nohup`` and the background jobs of scripts ignore signals for their commands. A handler would
    end the command that the user protected from the signal.
    """
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)
