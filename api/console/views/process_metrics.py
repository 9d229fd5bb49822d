"""Gauges of the process that renders a page, read from the page of its metrics."""

from collections.abc import Mapping

from quorate.api.console.caller import Caller


async def read_gauges(caller: Caller, *names: str) -> Mapping[str, float]:
    """Return the values of gauges without labels. Those that the process does not have are left
    out, and there are none for a page of the past.
    """
    if caller.as_of:
        return {}
    found: dict[str, float] = {}
    for line in (await caller.read("metrics")).body.splitlines():
        name, _, value = line.decode("ascii", "replace").partition(" ")
        if name in names:
            found[name] = float(value)
    return found
