"""An auditor: it follows the log as it grows, and checks that nothing in it was changed.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...   # an auditor's key
    python examples/auditor.py --for 30

Each event's hash covers it and, through its predecessor's, all before it. The auditor computes
every hash anew. At the end it says up to where the log holds: keep that head in another place, and
give it to the next run with --head. Then a log that was rewritten in between is found out as well.
"""

import argparse
import asyncio
import json
import os
import sys
from contextlib import suppress

import httpx2

from quorate.eventlog.hash_chain import GENESIS, ChainBroken, check_public
from quorate.eventlog.recorded_event import StreamHead

RETRY_SECONDS = 0.5
SILENCE_SECONDS_MAX = 60.0  # The service says that it is still there four times in this time.


class Audit:
    """``head`` is the last event that was found to be right."""

    def __init__(self, head: StreamHead) -> None:
        self.head = head

    async def follow(self, http: httpx2.AsyncClient) -> None:
        """Until the stream breaks; raises ChainBroken at the first event that does not hold."""
        after = {"after": self.head.sequence}
        async with http.stream("GET", "/v1/events/stream", params=after) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    self.check(json.loads(line.removeprefix("data: ")))

    def check(self, event: dict[str, object]) -> None:
        self.head = check_public(event, self.head)
        print(f"{event['sequence']:>6}  {event['at']}  {event['type']}", flush=True)


async def work(audit: Audit) -> None:
    key = os.environ["QUORATE_API_KEY"]
    async with httpx2.AsyncClient(
        base_url=os.environ["QUORATE_URL"],
        headers={"Authorization": f"Bearer {key}"},
        timeout=SILENCE_SECONDS_MAX,
    ) as http:
        while True:
            # A connection may break at any time. The next one goes on after the last event that
            # was checked, so nothing is left out.
            try:
                await audit.follow(http)
            except httpx2.HTTPStatusError as refused:
                if refused.response.is_client_error:
                    sys.exit(f"The service declines: {refused}")
            except httpx2.TransportError as broken:
                print(f"not connected: {broken}", file=sys.stderr)
            await asyncio.sleep(RETRY_SECONDS)


async def main(audit: Audit, seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work(audit)


def head(text: str) -> StreamHead:
    sequence, _, digest = text.partition(":")
    return StreamHead(sequence=int(sequence), hash=bytes.fromhex(digest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Follow the log and check its chain of hashes.")
    parser.add_argument("--head", type=head, default=GENESIS, metavar="SEQUENCE:HASH")
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="then stop")
    options = parser.parse_args()
    audit = Audit(options.head)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main(audit, options.seconds))
    except ChainBroken as broken:
        sys.exit(f"The log does not hold: {broken}")
    print(f"The log holds up to {audit.head.sequence}:{audit.head.hash.hex()}")
