"""Auditor: follow the event log and verify its hash chain.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...   # an auditor key
    python examples/auditor.py --for 30

The hash of each event covers the event and the hash of its predecessor. The auditor recomputes
every hash. At the end it prints the head hash (sequence:hash). Store the head hash outside of the
service, and pass it to the next run with --head. The auditor then also detects a rewritten log.
"""

import argparse
import asyncio
import logging
import os
import sys
from contextlib import suppress

from quorate.client import AsyncClient, EventsArchivedError, RequestFailedError
from quorate.eventlog.hash_chain import GENESIS, ChainBroken, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead


class Audit:
    """``head`` is the last verified event."""

    def __init__(self, head: StreamHead) -> None:
        self.head = head

    async def follow(self, client: AsyncClient) -> None:
        """Verify events without end; raise ChainBroken at the first corrupted event."""
        # A connection can be lost at any time. The SDK resumes after the last event, so no event
        # is skipped.
        async for event in client.events(after=self.head.sequence, follow=True):
            # The hash covers the event exactly as the service sent it.
            self.head = verify_exported_event(dict(event.raw), self.head)
            print(f"{event.sequence:>6}  {event.raw['at']}  {event.type}", flush=True)


async def work(audit: Audit) -> None:
    async with AsyncClient(os.environ["QUORATE_URL"], os.environ["QUORATE_API_KEY"]) as client:
        try:
            await audit.follow(client)
        except (RequestFailedError, EventsArchivedError) as error:
            sys.exit(f"The events cannot be read: {error}")


async def main(audit: Audit, seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work(audit)


def head(text: str) -> StreamHead:
    sequence, _, digest = text.partition(":")
    return StreamHead(sequence=int(sequence), hash=bytes.fromhex(digest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Follow the event log and verify its hash chain.")
    parser.add_argument("--head", type=head, default=GENESIS, metavar="SEQUENCE:HASH")
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="then stop")
    options = parser.parse_args()
    audit = Audit(options.head)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("quorate.client").setLevel(logging.INFO)  # Reports lost connections.
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main(audit, options.seconds))
    except ChainBroken as error:
        sys.exit(f"The log is corrupted: {error}")
    print(f"Verified up to {audit.head.sequence}:{audit.head.hash.hex()}")
