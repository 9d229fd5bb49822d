"""Auditor: follow the event log and verify its hash chain.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...   # an auditor key
    python examples/auditor.py --for 30

The hash of each event covers the event and the hash of its predecessor. The auditor recomputes
every hash. At the end it prints the head hash (sequence:hash). Store the head hash outside of the
service, and pass it to the next run with --head. The auditor then also detects a rewritten log.
"""

import argparse
import asyncio
import json
import os
import sys
from contextlib import suppress

import httpx2

from quorate.eventlog.hash_chain import GENESIS, ChainBroken, verify_exported_event
from quorate.eventlog.recorded_event import StreamHead

RETRY_SECONDS = 0.5
SILENCE_SECONDS_MAX = 60.0  # The service sends four keep-alive comments in this time.


class Audit:
    """``head`` is the last verified event."""

    def __init__(self, head: StreamHead) -> None:
        self.head = head

    async def follow(self, http: httpx2.AsyncClient) -> None:
        """Verify events until the stream ends; raise ChainBroken at the first corrupted event."""
        after = {"after": self.head.sequence}
        async with http.stream("GET", "/v1/events/stream", params=after) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.check(json.loads(line.removeprefix("data: ")))

    def check(self, event: dict[str, object]) -> None:
        self.head = verify_exported_event(event, self.head)
        print(f"{event['sequence']:>6}  {event['at']}  {event['type']}", flush=True)


async def work(audit: Audit) -> None:
    key = os.environ["QUORATE_API_KEY"]
    async with httpx2.AsyncClient(
        base_url=os.environ["QUORATE_URL"],
        headers={"Authorization": f"Bearer {key}"},
        timeout=SILENCE_SECONDS_MAX,
    ) as http:
        while True:
            # A connection can be lost at any time. The next one continues after the last verified
            # event, so no event is skipped.
            try:
                await audit.follow(http)
            except httpx2.HTTPStatusError as error:
                if error.response.is_client_error:
                    sys.exit(f"The service rejected the request: {error}")
            except httpx2.TransportError as error:
                print(f"not connected: {error}", file=sys.stderr)
            await asyncio.sleep(RETRY_SECONDS)


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
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main(audit, options.seconds))
    except ChainBroken as error:
        sys.exit(f"The log is corrupted: {error}")
    print(f"Verified up to {audit.head.sequence}:{audit.head.hash.hex()}")
