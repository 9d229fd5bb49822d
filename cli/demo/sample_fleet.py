"""`quorate demo --fleet`: a realistic fleet to look at, in the console or with any command.

* It is a still picture: agents with leases and conflicts, votes, mail, sessions, tasks in every
  state, a task list and schedules. It consists of about 150 commands on a running service.
* Agent names start with "demo-" and contacts end in @demo.example. A second run adds to the first.
* No mail leaves the service: its sender holds no contact, so the send gate blocks it.
* Nothing keeps the agents active: they time out as agents do that send no heartbeat.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any

from quorate.client import LeaseConflictError
from quorate.client.request_builder import request_for
from quorate.client.transports.sync_http import Client
from quorate.contracts.registry import OPERATIONS

AGENTS: Mapping[str, str] = {
    "demo-outreach-ann": "outbound",
    "demo-outreach-ben": "outbound",
    "demo-support-cara": "support",
    "demo-support-dan": "support",
    "demo-billing-eve": "billing",
    "demo-retention-fay": "retention",
    "demo-research-gil": "research",
    "demo-planner-hal": "planner",
    "demo-worker-ida": "worker",
    "demo-worker-jo": "worker",
}
WITHOUT_LEASE = "demo-outreach-ben"
PEOPLE = (
    *("alice.berg", "bruno.costa", "chen.li", "dora.novak", "emil.olsen", "farah.khan"),
    *("goran.ilic", "hana.sato", "ivan.petrov", "julia.meyer", "kofi.mensah", "lena.wolf"),
)
INTENTS = ("outreach", "support", "billing", "retention")
VOTES: Sequence[tuple[str, str, Sequence[str]]] = (
    ("Send a discount of 20 %", "The customer asked to cancel.", ("approve",) * 6),
    ("Threaten legal action", "The invoice is 60 days overdue.", ("reject",) * 6),
    ("Call the customer", "Two mails were not answered.", ("approve", "approve", "reject")),
    ("Refund order 17", "It arrived damaged.", ("approve",)),
)
MAIL: Sequence[tuple[str, str, str, str]] = (
    ("demo-planner-hal", "demo-research-gil", "TASK:r-1 Find a supplier", "By Friday, please."),
    ("demo-research-gil", "demo-planner-hal", "RESULT:r-1 Three suppliers", "See the list below."),
    ("demo-support-cara", "demo-billing-eve", "Invoice of Alice", "She paid twice."),
    ("demo-billing-eve", "demo-support-cara", "Re: Invoice of Alice", "The second is refunded."),
    ("demo-outreach-ann", "demo-outreach-ben", "Who writes to Chen?", "I hold the contact."),
)
TALKS: Sequence[tuple[str, str]] = (
    ("demo-support-cara", "A customer asks where the order is."),
    ("demo-support-cara", "It left the warehouse this morning."),
    ("demo-planner-hal", "The plan for this week is ready."),
)
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "demo-researcher": {"max_attempts": 3},
    "demo-once": {"max_attempts": 1},
}
TASKS: Mapping[str, Sequence[str]] = {
    "demo-researcher": ("Read the contract", "Compare the prices", "Draft an answer", "Plan May"),
    "demo-once": ("Check the disk",),
}
WAITING = ("Look up supplier 1", "Look up supplier 2", "Translate the terms")
STEPS = ("Collect the invoices", "Check the sums", "Send the report")
SCHEDULES: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("demo-planner-hal", "Weekly plan", {"cron": "0 8 * * 1", "timezone": "Europe/Berlin"}),
    ("demo-billing-eve", "Open invoices", {"every_seconds": 3_600}),
)
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


class SampleFleet:
    """``made`` counts what was created; raises RequestFailedError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.made: Counter[str] = Counter()

    def create(self) -> None:
        for name, role in AGENTS.items():
            self._call("register", {"agentName": name, "agentRole": role})
            self.made["agents"] += 1
        self._leases()
        self._votes()
        self._mail()
        self._sessions()
        self._tasks()
        self._lists_and_schedules()

    def _call(self, name: str, body: Mapping[str, Any] | None = None, **ids: str) -> Any:  # noqa: ANN401 - JSON.
        found: Any = self._client.execute(request_for(_BY_NAME[name], body, None, **ids))
        return getattr(found, "raw", found)

    def _leases(self) -> None:
        agents = cycle(AGENTS)
        for number, person in enumerate(PEOPLE):
            holder, rival = next(agents), next(agents)
            wanted = {
                "contactEmail": f"{person}@demo.example",
                "intent": INTENTS[number % len(INTENTS)],
                "durationMinutes": 5 * (number + 1),
            }
            with suppress(LeaseConflictError):  # A former run still holds it.
                self._call("acquireLease", {"agentName": holder, **wanted})
                self.made["leases"] += 1
            if number % 3 == 0:
                try:
                    self._call("acquireLease", {"agentName": rival, **wanted})
                except LeaseConflictError:
                    self.made["conflicts"] += 1
            contact = {"contactEmail": f"{person}@demo.example"}
            sender = rival if number % 4 == 0 else holder
            self._call("requestSend", {"agentName": sender, **contact})
            self.made["sends"] += 1

    def _votes(self) -> None:
        names = list(AGENTS)
        for number, (action, reason, choices) in enumerate(VOTES):
            proposal = {
                "proposerAgent": names[0],
                "action": action,
                "reason": reason,
                "contactEmail": f"{PEOPLE[number]}@demo.example",
                "timeoutMinutes": 60,
            }
            id_ = self._call("requestConsensus", proposal)["id"]
            self.made["proposals"] += 1
            for name, choice in zip(names, choices, strict=False):
                vote = {"agentName": name, "vote": choice, "reason": f"{choice} from {name}"}
                self._call("castVote", vote, consensus_id=id_)

    def _mail(self) -> None:
        thread: str | None = None
        for sender, to, subject, text in MAIL:
            address = self._call_query("getMailAccount", to)["email_address"]
            message: dict[str, Any] = {"to": [address], "subject": subject, "body_text": text}
            is_answer = subject.startswith(("Re:", "RESULT:"))
            if is_answer and thread is not None:
                message["in_reply_to"] = thread
            thread = self._call("sendMail", {"agent_name": sender, **message})["message_id"]
            self.made["messages"] += 1
        blocked = {"to": [f"{PEOPLE[0]}@demo.example"], "subject": "Hello", "body_text": "Hello!"}
        self._call("sendMail", {"agent_name": WITHOUT_LEASE, **blocked})
        self.made["messages"] += 1

    def _sessions(self) -> None:
        for name, text in TALKS:
            key = f"agent:{name}:main"
            self._tool("sessions_send", name, key=key, message=text)
            self.made["session messages"] += 1

    def _tasks(self) -> None:
        spawner = "demo-planner-hal"
        for name, fields in PRESETS.items():
            self._call("putPreset", fields, preset_name=name)
        for preset, texts in TASKS.items():
            for text in texts:
                self._tool("spawn_agent", spawner, task=text, preset=preset, nonblocking=True)
                self.made["tasks"] += 1
        for text in WAITING:
            self._tool("spawn_agent", spawner, task=text, nonblocking=True)
            self.made["tasks"] += 1
        working = self._claim("demo-worker-ida", "demo-researcher")
        self._report("reportProgress", working, percent=40, message="Page 12 of 30")
        asking = self._claim("demo-worker-jo", "demo-researcher")
        self._report("requestInput", asking, text="Which currency?")
        self._report(
            "completeTask", self._claim("demo-worker-ida", "demo-researcher"), text="Done."
        )
        dead = self._claim("demo-worker-jo", "demo-once")
        self._report("failTask", dead, error="The disk is full.", outcome="retry")

    def _claim(self, worker: str, preset: str) -> dict[str, Any]:
        task = self._call(
            "claimTask", {"agent_name": worker, "presets": [preset], "claim_seconds": 3_600}
        )["task"]
        return {"agent_name": worker, "fence": task["fence"], "id": task["task_id"]}

    def _report(self, name: str, claim: Mapping[str, Any], **fields: object) -> None:
        held = {key: claim[key] for key in ("agent_name", "fence")}
        self._call(name, {**held, **fields}, task_id=claim["id"])

    def _lists_and_schedules(self) -> None:
        owner = "demo-billing-eve"
        blocked_by: list[str] = []
        for subject in STEPS:
            made = self._tool(
                *("task_list", owner),
                action="create",
                list_id="demo-month-end",
                subject=subject,
                blocked_by=blocked_by,
            )
            blocked_by = [made["task"]["id"]]
            self.made["listed tasks"] += 1
        for name, label, times in SCHEDULES:
            turn = {"kind": "agentTurn", "message": f"{label}, please."}
            self._tool("schedule", name, action="create", name=label, schedule=times, payload=turn)
            self.made["schedules"] += 1

    def _tool(self, tool: str, agent_name: str, **fields: object) -> Any:  # noqa: ANN401 - JSON.
        operation = next(one for one in OPERATIONS if one.tool == tool)
        return self._call(operation.name, {"agent_name": agent_name, **fields})

    def _call_query(self, name: str, agent_name: str) -> Any:  # noqa: ANN401 - JSON.
        operation = _BY_NAME[name]
        assert operation.query is not None
        query = operation.query(agent_name=agent_name)
        found: Any = self._client.execute(request_for(operation, query=query))
        return found.raw
