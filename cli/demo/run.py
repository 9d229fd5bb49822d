"""Run one demo: start the agents, follow the event log, print or draw the events.

* The agents and the display share only the service.
* The demo ends when all its parts are shown, the agents are done, and all their events are shown.
  An interruption stops the agents first, so they release their leases.
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
from quorate.cli.demo.fleet import Fleet
from quorate.cli.demo.parts import missing_parts
from quorate.cli.demo.scene import Scene, SceneEvent
from quorate.cli.demo.script import CONTACTS, CRASHING_AGENT, NAMES, PROPOSER, DemoConfig
from quorate.cli.demo.summary import Summary, summarize
from quorate.cli.demo.temporary_service import temporary_service
from quorate.cli.output.console import print_line
from quorate.client import Client, requests
from quorate.runtime.signals import without_ignored

if TYPE_CHECKING:
    from quorate.eventlog.recorded_event import StreamHead

FRAMES_PER_SECOND = 8
LAST_EVENT_TIMEOUT_SECONDS = 30.0
# Heartbeat window as a share of the demo: on a temporary service, and the maximum on others.
WINDOW_SHARE = 0.2
WINDOW_SECONDS_MIN = 2.0
WINDOW_SECONDS_MAX = 4.0
MAX_WINDOW_SHARE = 0.4
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """A signal ended the demo."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def on_temporary(show: "Show") -> Summary:
    """Run on a temporary service; raises Failure if it does not start."""
    window = min(WINDOW_SECONDS_MAX, max(WINDOW_SECONDS_MIN, WINDOW_SHARE * show.seconds))

    async def run() -> Summary:
        async with temporary_service(window_seconds=window) as service:
            config = DemoConfig(
                url=service.url,
                nats_url=service.nats_url,
                api_key=service.api_key,
                seconds=show.seconds,
                window_seconds=window,
                shows_timeout=True,
            )
            return await show.run(config, f"on a temporary service, {service.url}", after=0)

    return asyncio.run(_interruptible(run()))


def on_running(show: "Show", service: Service) -> Summary:
    """Run on an existing service; raises RequestFailedError."""
    with Client(service.url, service.api_key) as client:
        agent = client.execute(requests.register(PROPOSER, "demo"))
    window = (agent.active_until - agent.last_heartbeat).total_seconds()
    config = DemoConfig(
        url=service.url,
        nats_url=service.nats_url,
        api_key=service.api_key,
        seconds=show.seconds,
        window_seconds=window,
        shows_timeout=window <= MAX_WINDOW_SHARE * show.seconds,
    )
    return asyncio.run(_interruptible(show.run(config, f"on {service.url}", after=None)))


async def _interruptible(work: Any) -> Summary:  # noqa: ANN401 - a coroutine.
    """Return the result of the work; raises Interrupted when a signal ended it."""
    task = asyncio.ensure_future(work)
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in without_ignored(END_SIGNALS):
        loop.add_signal_handler(number, on_signal, int(number))
    try:
        summary: Summary = await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
    finally:
        for number in without_ignored(END_SIGNALS):
            loop.remove_signal_handler(number)
    return summary


class Show:
    """Output of the demo: a live display, JSON lines or text."""

    def __init__(self, seconds: float, *, live: bool, as_json: bool) -> None:
        self.seconds = seconds
        self._live = live
        self._as_json = as_json
        self._scene = Scene(NAMES, CONTACTS)
        self._chain = ChainVerifier()
        self._clock_offset = 0.0
        self._shown_sequence = 0
        self._event_shown = asyncio.Event()

    async def run(self, config: DemoConfig, place: str, *, after: int | None) -> Summary:
        """Run the agents and show their events; raises RequestFailedError."""
        fleet = Fleet(
            config,
            is_complete=lambda: not [*missing_parts(self._scene, fleet)],
            on_crash=lambda name: self._crashed(fleet, name),
        )
        async with LogFeed(config.url, config.api_key, after) as feed:
            await feed.begin()
            background = [asyncio.create_task(self._follow(feed, fleet))]
            if self._live:
                background.append(asyncio.create_task(self._draw(fleet, config, place)))
            elif not self._as_json:
                print_line(f"Five agents, three contacts, two workers, {place}.")
            try:
                await self._wait_for_agents(fleet, background)
                await self._wait_for_last_event(feed, background[0])
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
        return summarize(
            self._scene, fleet, config, events=self._chain.events, clock_offset=self._clock_offset
        )

    async def _wait_for_agents(self, fleet: Fleet, background: list["asyncio.Task[None]"]) -> None:
        working = asyncio.create_task(fleet.run())
        try:
            await asyncio.wait({working, *background}, return_when=asyncio.FIRST_COMPLETED)
            for task in background:
                if task.done():
                    task.result()  # The display failed: raise its error.
            await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _wait_for_last_event(self, feed: LogFeed, following: "asyncio.Task[None]") -> None:
        """Wait until the last event of the agents is shown."""
        head = await feed.head()
        async with asyncio.timeout(LAST_EVENT_TIMEOUT_SECONDS):
            while self._shown_sequence < head and not following.done():
                self._event_shown.clear()
                await self._event_shown.wait()

    # -- Output ----------------------------------------------------------------

    async def _follow(self, feed: LogFeed, fleet: Fleet) -> None:
        async with aclosing(feed.events()) as events:
            async for event in events:
                self._chain.check(event)
                scene_event = self._scene.apply(event)
                self._clock_offset = time.time() - self._scene.now
                fleet.observe(event, self._scene.actor(event))
                self._show(event, scene_event, fleet.clock.elapsed)
                self._shown_sequence = event["sequence"]
                self._event_shown.set()

    def _show(self, event: dict[str, Any], scene_event: SceneEvent | None, elapsed: float) -> None:
        if self._as_json:
            click.echo(orjson.dumps(event))
        elif scene_event is not None:
            self._print(scene_event, elapsed)

    def _print(self, scene_event: SceneEvent, elapsed: float) -> None:
        if not self._live and not self._as_json:
            print_line(f"{elapsed:6.2f} s  {scene_event.sentence}")

    def _crashed(self, fleet: Fleet, name: str) -> None:
        if name == CRASHING_AGENT:
            sentence = f"{name} is killed while it holds a lease; the service gets no message"
            note = self._scene.record_crash(sentence)
        else:
            sentence = f"{name} is killed while it works on a task; the service gets no message"
            note = self._scene.add_note("Crash", sentence)
        self._print(note, fleet.clock.elapsed)

    async def _draw(self, fleet: Fleet, config: DemoConfig, place: str) -> None:
        from rich.console import Console
        from rich.live import Live

        from quorate.cli.demo.display import DemoDisplay

        console = Console()
        display = DemoDisplay(self._scene, place, config.seconds, config.window_seconds)

        def render(*, last: bool = False) -> Any:  # noqa: ANN401 - any rich renderable.
            now = time.time() - self._clock_offset
            return display.render(console, fleet.clock.elapsed, now, last=last)

        with Live(render(), console=console, auto_refresh=False) as live:
            try:
                while True:
                    await asyncio.sleep(1 / FRAMES_PER_SECOND)
                    live.update(render(), refresh=True)
            finally:
                live.update(render(last=True), refresh=True)

    def print_summary(self, summary: Summary) -> None:
        if self._as_json:
            click.echo(orjson.dumps({"type": "demo.summary", **summary.wire}))
            return
        click.echo()
        for line in summary.lines:
            print_line(line)


class ChainVerifier:
    """Verifies the hash chain while the events arrive; raises ChainBroken."""

    def __init__(self) -> None:
        self.events = 0
        self._head: StreamHead | None = None

    def check(self, event: dict[str, Any]) -> None:
        from quorate.eventlog.hash_chain import GENESIS, verify_exported_event
        from quorate.eventlog.recorded_event import StreamHead

        self.events += 1
        if self._head is None and event["sequence"] == GENESIS.sequence + 1:
            self._head = GENESIS
        if self._head is not None:
            self._head = verify_exported_event(event, self._head)
        else:  # The log has earlier events: verify from here on.
            self._head = StreamHead(sequence=event["sequence"], hash=bytes.fromhex(event["hash"]))
