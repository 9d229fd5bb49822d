"""Live terminal display of the demo: agents, contacts, the proposal, the task and recent events.

It is rendered from the scene several times a second and has no state of its own.
"""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quorate.cli.demo.scene import AgentView, ContactView, Scene

STYLES = ("cyan", "magenta", "green", "blue", "red", "yellow")
ALIVE_WIDTH = 10
CLOCK_WIDTH = 10
MIN_EVENTS_SHOWN = 3
OTHER_LINES = 15  # Heading, agents, contacts, proposal and task.
SUMMARY_LINES = 12  # For the summary.
PREFIX = "demo-"  # Common to all agents, so the display omits it.
EVENT_STYLES: Mapping[str, str] = {
    "Crash": "bold red",
    "AgentLapsed": "bold red",
    "LeaseRevoked": "bold red",
    "ConsensusDecided": "bold green",
    "TaskClaimEnded": "bold red",
    "TaskCompleted": "bold green",
    "TaskSubmitted": "yellow",
    "TaskOffered": "yellow",
    "TaskClaimed": "yellow",
    "ConsensusRequested": "yellow",
    "VoteCast": "yellow",
    "MessageSent": "cyan",
    "MessageBlocked": "bold cyan",
    "LeaseConflicted": "dim",
    "SendBlocked": "dim",
    "LeaseReleased": "dim",
}


class DemoDisplay:
    """Renders the scene; ``place`` describes the service in a few words."""

    def __init__(self, scene: Scene, place: str, seconds: float, window_seconds: float) -> None:
        self._scene = scene
        self._place = place
        self._seconds = seconds
        self._window_seconds = window_seconds

    def render(
        self, console: Console, elapsed: float, now: float, *, last: bool = False
    ) -> RenderableType:
        """Render the scene; ``now`` is the estimated time of the service."""
        began = now - elapsed
        room = console.height - OTHER_LINES - (SUMMARY_LINES if last else 0)
        return Group(
            self._heading(elapsed),
            Panel(self._side_by_side(now), border_style="dim", padding=(0, 1)),
            Panel(
                Group(self._vote(), self._task()),
                title="proposal and task",
                title_align="left",
                border_style="dim",
            ),
            self._events(max(MIN_EVENTS_SHOWN, room), began),
        )

    def _heading(self, elapsed: float) -> RenderableType:
        line = Table.grid(expand=True)
        line.add_column()
        line.add_column(justify="right")
        left = Text.assemble(("quorate demo", "bold"), f"  {self._place}")
        line.add_row(left, f"{min(elapsed, self._seconds):4.1f} of {self._seconds:g} s")
        return line

    # -- Agents and contacts -------------------------------------------------

    def _side_by_side(self, now: float) -> RenderableType:
        both = Table.grid(expand=True, padding=(0, 2))
        both.add_column(ratio=4)
        both.add_column(ratio=7)
        both.add_row(self._agents(now), self._contacts(now))
        return both

    def _agents(self, now: float) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        for column in ("agent", "active for", "leases"):
            table.add_column(column, no_wrap=True)
        for agent in self._scene.agents.values():
            activity = self._activity(agent, now)
            table.add_row(self._agent_text(agent.name), activity, str(agent.holds))
        return table

    def _activity(self, agent: AgentView, now: float) -> Text:
        left = 0.0 if agent.has_timed_out else max(0.0, agent.active_until - now)
        if not left:
            return Text("timed out", style="bold red")
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
        table.add_column("waiting", no_wrap=True)
        for name, contact in self._scene.contacts.items():
            table.add_row(name, *self._holder(contact, now), self._waiting(contact))
        return table

    def _holder(self, contact: ContactView, now: float) -> tuple[Text, str, str]:
        if contact.holder is None:
            return Text("free", style="dim"), "", ""
        held = f"{max(0.0, now - contact.since):.1f} s"
        return self._agent_text(contact.holder), str(contact.fence), held

    def _waiting(self, contact: ContactView) -> Text:
        if contact.holder is None:
            return Text()
        return Text(" ").join(self._agent_text(name) for name in contact.waiting)

    def _agent_text(self, name: str) -> Text:
        agents = list(self._scene.agents)
        at = agents.index(name) if name in agents else 0
        return Text(name.removeprefix(PREFIX), style=STYLES[at % len(STYLES)])

    # -- Proposal, task and events -------------------------------------------

    def _vote(self) -> RenderableType:
        vote = self._scene.vote
        if vote is None:
            return Text("no proposal yet", style="dim")
        line = Text(f"{vote.action}, {vote.contact}:")
        for name, choice in vote.votes.items():
            mark, style = ("+", "green") if choice == "approve" else ("-", "red")
            line.append("  ").append(mark, style).append(" ").append(self._agent_text(name))
        return line.append(f"  => {vote.result}", "bold") if vote.result else line

    def _task(self) -> Text:
        task = self._scene.task
        if task is None:
            return Text("no task yet", style="dim")
        line = Text("task, attempts:" if task.workers else "task: offered to workers")
        for name in task.workers:
            line.append("  ").append(self._agent_text(name))
        done = task.ended_at is not None
        return line.append(f"  => {task.status}" if done else "", "bold")

    def _events(self, lines: int, began: float) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=CLOCK_WIDTH, no_wrap=True, style="dim", justify="right")
        # Only this column gives up width, so that the clock stays on one line.
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for event in list(self._scene.events)[-lines:]:
            style = EVENT_STYLES.get(event.type, "")
            at = f"{max(0.0, event.at - began):.2f} s"
            table.add_row(at, Text(event.sentence, style=style))
        return table
