"""The demo as a picture in the terminal: agents, contacts, the vote, and what happens.

It is drawn anew from the scene, several times a second, and keeps nothing of its own.
"""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quorate.cli.demo.scene import AgentSeen, ContactSeen, Scene

STYLES = ("cyan", "magenta", "green", "blue", "red")
ALIVE_WIDTH = 10
CLOCK_WIDTH = 10
HAPPENINGS_SHOWN_MIN = 3
LINES_BESIDES = 13  # All that is not what happens: the heading, agents and contacts, the vote.
LINES_AFTER = 10  # For what is said at the end.
PREFIX = "demo-"  # All of them are: in a picture it says nothing.
LOUD: Mapping[str, str] = {
    "Crash": "bold red",
    "AgentLapsed": "bold red",
    "LeaseRevoked": "bold red",
    "ConsensusDecided": "bold green",
    "ConsensusRequested": "yellow",
    "VoteCast": "yellow",
    "LeaseConflicted": "dim",
    "SendBlocked": "dim",
    "LeaseReleased": "dim",
}


class Picture:
    """``place`` is where the demo takes place, in a few words."""

    def __init__(self, scene: Scene, place: str, seconds: float, window_seconds: float) -> None:
        self._scene = scene
        self._place = place
        self._seconds = seconds
        self._window_seconds = window_seconds

    def drawn(
        self, console: Console, elapsed: float, now: float, *, last: bool = False
    ) -> RenderableType:
        """``now`` is by the service's clock, as well as it is known."""
        began = now - elapsed
        room = console.height - LINES_BESIDES - (LINES_AFTER if last else 0)
        return Group(
            self._heading(elapsed),
            Panel(self._side_by_side(now), border_style="dim", padding=(0, 1)),
            Panel(self._vote(), title="a vote", title_align="left", border_style="dim"),
            self._happenings(max(HAPPENINGS_SHOWN_MIN, room), began),
        )

    def _heading(self, elapsed: float) -> RenderableType:
        line = Table.grid(expand=True)
        line.add_column()
        line.add_column(justify="right")
        left = Text.assemble(("quorate demo", "bold"), f"  {self._place}")
        line.add_row(left, f"{min(elapsed, self._seconds):4.1f} of {self._seconds:g} s")
        return line

    # -- Who and what --------------------------------------------------------

    def _side_by_side(self, now: float) -> RenderableType:
        both = Table.grid(expand=True, padding=(0, 2))
        both.add_column(ratio=4)
        both.add_column(ratio=7)
        both.add_row(self._agents(now), self._contacts(now))
        return both

    def _agents(self, now: float) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        for column in ("agent", "alive for", "leases"):
            table.add_column(column, no_wrap=True)
        for agent in self._scene.agents.values():
            alive = self._alive(agent, now)
            table.add_row(self._named(agent.name), alive, str(agent.holds))
        return table

    def _alive(self, agent: AgentSeen, now: float) -> Text:
        left = 0.0 if agent.lapsed else max(0.0, agent.active_until - now)
        if not left:
            return Text("lapsed", style="bold red")
        share = min(1.0, left / self._window_seconds)
        filled = round(ALIVE_WIDTH * share)
        style = "green" if share > 1 / 3 else "red"
        return Text.assemble(
            ("\N{BLACK VERTICAL RECTANGLE}" * filled, style),
            ("\N{WHITE VERTICAL RECTANGLE}" * (ALIVE_WIDTH - filled), "dim"),
        )

    def _contacts(self, now: float) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        for column, width in (("contact", 16), ("held by", 7), ("fence", 5), ("for", 6)):
            table.add_column(column, no_wrap=True, min_width=width)
        table.add_column("wanted by", no_wrap=True)
        for name, contact in self._scene.contacts.items():
            table.add_row(name, *self._holder(contact, now), self._wanting(contact))
        return table

    def _holder(self, contact: ContactSeen, now: float) -> tuple[Text, str, str]:
        if contact.holder is None:
            return Text("free", style="dim"), "", ""
        held = f"{max(0.0, now - contact.since):.1f} s"
        return self._named(contact.holder), str(contact.fence), held

    def _wanting(self, contact: ContactSeen) -> Text:
        if contact.holder is None:
            return Text()
        return Text(" ").join(self._named(name) for name in contact.wanted_by)

    def _named(self, name: str) -> Text:
        agents = list(self._scene.agents)
        at = agents.index(name) if name in agents else 0
        return Text(name.removeprefix(PREFIX), style=STYLES[at % len(STYLES)])

    # -- What is decided, and what happens -----------------------------------

    def _vote(self) -> RenderableType:
        vote = self._scene.vote
        if vote is None:
            return Text("nothing is proposed yet", style="dim")
        line = Text(f"{vote.action}, {vote.contact}:")
        for name, choice in vote.votes.items():
            mark, style = ("+", "green") if choice == "approve" else ("-", "red")
            line.append("  ").append(mark, style).append(" ").append(self._named(name))
        return line.append(f"  => {vote.result}", "bold") if vote.result else line

    def _happenings(self, lines: int, began: float) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=CLOCK_WIDTH, style="dim", justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for happening in list(self._scene.happenings)[-lines:]:
            style = LOUD.get(happening.type, "")
            at = f"{max(0.0, happening.at - began):.2f} s"
            table.add_row(at, Text(happening.sentence, style=style))
        return table
