"""One demo from its beginning to its end: the fleet works, the log tells, the picture shows.

* The agents and whoever looks on share nothing but the service.
* It ends when the fleet is done and everything that it did was told. An interruption ends the
  fleet first, so that nothing stays held.
"""

import asyncio
import signal
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click
import orjson

from quorate.cli.audit.log_feed import LogFeed
from quorate.cli.connection.resolve import Service
from quorate.cli.demo.fleet import CONTACTS, NAMES, PROPOSER, SILENT, Fleet, Stage
from quorate.cli.demo.scene import Happening, Scene
from quorate.cli.demo.summary import Summary, summed_up
from quorate.cli.demo.temporary_service import temporary_service
from quorate.cli.output.console import say
from quorate.client import Caller, requests

if TYPE_CHECKING:
    from quorate.eventlog.recorded_event import StreamHead

FRAMES_PER_SECOND = 8
TOLD_SECONDS_MAX = 5.0
# Of the whole, so long is a heartbeat good for on a service of its own, and at most elsewhere.
WINDOW_SHARE = 0.2
WINDOW_SECONDS_MIN = 2.0
WINDOW_SECONDS_MAX = 4.0
WINDOW_SHARE_MAX = 0.4
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody had seen enough."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def on_temporary(show: "Show") -> Summary:
    """On a service that is there for the demo alone; raises Failure when it does not start."""
    window = min(WINDOW_SECONDS_MAX, max(WINDOW_SECONDS_MIN, WINDOW_SHARE * show.seconds))

    async def run() -> Summary:
        async with temporary_service(window_seconds=window) as service:
            stage = Stage(
                url=service.url,
                nats_url=service.nats_url,
                api_key=service.api_key,
                seconds=show.seconds,
                window_seconds=window,
                lapses=True,
            )
            return await show.run(stage, f"on a service of its own, {service.url}", after=0)

    return asyncio.run(_interruptible(run()))


def on_running(show: "Show", service: Service) -> Summary:
    """On a service that others may be using; raises CallFailed."""
    with Caller(service.url, service.api_key) as caller:
        agent = caller.call(requests.register(PROPOSER, "demo"))
    window = (agent.active_until - agent.last_heartbeat).total_seconds()
    stage = Stage(
        url=service.url,
        nats_url=service.nats_url,
        api_key=service.api_key,
        seconds=show.seconds,
        window_seconds=window,
        lapses=window <= WINDOW_SHARE_MAX * show.seconds,
    )
    return asyncio.run(_interruptible(show.run(stage, f"on {service.url}", after=None)))


async def _interruptible(work: Any) -> Summary:  # noqa: ANN401 - a coroutine.
    """The work's outcome; raises Interrupted when a signal ended it."""
    task = asyncio.ensure_future(work)
    came: list[int] = []

    def on_signal(number: int) -> None:
        came.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in ENDS:
        loop.add_signal_handler(number, on_signal, int(number))
    try:
        summary: Summary = await task
    except asyncio.CancelledError:
        if not came:
            raise
        raise Interrupted(came[0]) from None
    finally:
        for number in ENDS:
            loop.remove_signal_handler(number)
    return summary


class Show:
    """``live``: a picture at a terminal; else lines, of JSON or of words."""

    def __init__(self, seconds: float, *, live: bool, as_json: bool) -> None:
        self.seconds = seconds
        self._live = live
        self._as_json = as_json
        self._scene = Scene(NAMES, CONTACTS)
        self._chain = Chain()
        self._clocks_differ = 0.0
        self._told_to = 0
        self._news = asyncio.Event()

    async def run(self, stage: Stage, place: str, *, after: int | None) -> Summary:
        """Raises CallFailed, and whatever ends the fleet."""
        fleet = Fleet(stage, lambda: self._crashed(fleet))
        async with LogFeed(stage.url, stage.api_key, after) as feed:
            await feed.begin()
            beside = [asyncio.create_task(self._follow(feed, fleet))]
            if self._live:
                beside.append(asyncio.create_task(self._draw(fleet, stage, place)))
            elif not self._as_json:
                say(f"Five agents, three contacts, {place}.")
            try:
                await self._until_done(fleet, beside)
                await self._until_told(feed, beside[0])
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
        return summed_up(
            self._scene, fleet, stage, events=self._chain.events, clocks_differ=self._clocks_differ
        )

    async def _until_done(self, fleet: Fleet, beside: list["asyncio.Task[None]"]) -> None:
        working = asyncio.create_task(fleet.run())
        try:
            await asyncio.wait({working, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done():
                    task.result()  # Nobody looks on any more: say why.
            await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _until_told(self, feed: LogFeed, following: "asyncio.Task[None]") -> None:
        """Wait for what the fleet did last."""
        head = await feed.head()
        async with asyncio.timeout(TOLD_SECONDS_MAX):
            while self._told_to < head and not following.done():
                self._news.clear()
                await self._news.wait()

    # -- Telling ---------------------------------------------------------------

    async def _follow(self, feed: LogFeed, fleet: Fleet) -> None:
        async with aclosing(feed.events()) as events:
            async for event in events:
                self._chain.check(event)
                happening = self._scene.apply(event)
                self._clocks_differ = time.time() - self._scene.now
                fleet.hear(event, self._scene.actor(event))
                self._tell(event, happening, fleet.elapsed)
                self._told_to = event["sequence"]
                self._news.set()

    def _tell(self, event: dict[str, Any], happening: Happening | None, elapsed: float) -> None:
        if self._as_json:
            click.echo(orjson.dumps(event))
        elif happening is not None:
            self._say(happening, elapsed)

    def _say(self, happening: Happening, elapsed: float) -> None:
        if not self._live and not self._as_json:
            say(f"{elapsed:6.2f} s  {happening.sentence}")

    def _crashed(self, fleet: Fleet) -> None:
        sentence = f"{SILENT} is killed with its lease in hand; nobody tells the service"
        self._say(self._scene.remark("Crash", sentence), fleet.elapsed)

    async def _draw(self, fleet: Fleet, stage: Stage, place: str) -> None:
        from rich.console import Console
        from rich.live import Live

        from quorate.cli.demo.display import Picture

        console = Console()
        picture = Picture(self._scene, place, stage.seconds, stage.window_seconds)

        def drawn(*, last: bool = False) -> Any:  # noqa: ANN401 - whatever rich can show.
            now = time.time() - self._clocks_differ
            return picture.drawn(console, fleet.elapsed, now, last=last)

        with Live(drawn(), console=console, auto_refresh=False) as live:
            try:
                while True:
                    await asyncio.sleep(1 / FRAMES_PER_SECOND)
                    live.update(drawn(), refresh=True)
            finally:
                live.update(drawn(last=True), refresh=True)

    def conclude(self, summary: Summary) -> None:
        if self._as_json:
            click.echo(orjson.dumps({"type": "demo.summary", **summary.wire}))
            return
        click.echo()
        for line in summary.lines:
            say(line)


class Chain:
    """The log's hash chain, checked as its events arrive; raises ChainBroken."""

    def __init__(self) -> None:
        self.events = 0
        self._head: StreamHead | None = None

    def check(self, event: dict[str, Any]) -> None:
        from quorate.eventlog.hash_chain import GENESIS, check_public
        from quorate.eventlog.recorded_event import StreamHead

        self.events += 1
        if self._head is None and event["sequence"] == GENESIS.sequence + 1:
            self._head = GENESIS
        if self._head is not None:
            self._head = check_public(event, self._head)
        else:  # The chain began before we came: from here on it must hold together.
            self._head = StreamHead(sequence=event["sequence"], hash=bytes.fromhex(event["hash"]))
