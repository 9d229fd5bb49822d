"""Random commands on tasks for a random history: every command and every event of tasks."""

import random
from typing import Any

import orjson

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions import task_claims, task_spawning
from quorate.domain.sessions.presets import ApplyPreset, Restrictions
from quorate.domain.sessions.task_events import UNNAMED, InputKind
from quorate.domain.sessions.task_submission import SpawnTask, TaskRequest
from quorate.domain.sessions.tasks import CONTEXT_PART, TASK_PART, TEXT_PART
from quorate.domain.sessions.tool_controls import ToolControls
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp

LATEST_MAX = 4
PRESET = "worker"
# Some claims and tasks end by the clock of a short history, others live long enough for an answer.
CLAIM_SECONDS, RETENTION_SECONDS = (10, 600, 1_200), (60, 900)
TIMEOUTS_SECONDS = (None, 60, 1_800, 3_600)


@record
class _Held:
    """A claim that was granted; it may have ended by the clock since."""

    task_id: str
    worker: AgentRef
    fence: int
    expires_at: int


class RandomTasks:
    """The tasks of some tenants. ``note`` receives each accepted command and its response."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._counter = 0
        self._submitted: dict[str, list[str]] = {}
        self._held: dict[str, list[_Held]] = {}
        self._asked: dict[str, list[tuple[str, str]]] = {}  # Task, and the id of its question.
        self._dead: dict[str, list[str]] = {}
        self._has_preset: set[str] = set()

    def command(self, tenant: str, caller: Principal, ref: AgentRef, now: Timestamp) -> Command:
        if tenant not in self._has_preset or self._random.random() < 0.02:
            fields = {"max_attempts": self._random.choice((1, 1, 2)), "timeout_seconds": 900}
            return ApplyPreset(caller=caller, name=PRESET, fields=fields, count=0)
        held = self._held.get(tenant, [])[-LATEST_MAX:]
        valid = [one for one in held if now < one.expires_at]
        kind = self._random.randrange(20)
        if tenant not in self._submitted or kind < 4:
            return self._submit(tenant, caller, ref)
        if not held or kind < 8:
            return task_claims.ClaimTask(
                caller=caller,
                agent=ref,
                presets=self._random.choice(((PRESET, UNNAMED), (UNNAMED, PRESET), (PRESET,))),
                seconds=self._random.choice(CLAIM_SECONDS),
            )
        if kind < 12:
            return self._of_spawner(tenant, caller)
        is_valid = valid and self._random.random() < 0.9
        return self._of_worker(caller, self._random.choice(valid if is_valid else held))

    def note(self, tenant: str, command: Command, body: bytes) -> None:
        match command:
            case ApplyPreset() if command.name == PRESET:
                self._has_preset.add(tenant)
            case SpawnTask():
                self._submitted.setdefault(tenant, []).append(command.request.task_id)
            case task_claims.ClaimTask():
                self._note_claim(tenant, command.agent, orjson.loads(body)["task"])
            case task_claims.RequestInput():
                asked = (command.task_id, command.question[0].id)
                self._asked.setdefault(tenant, []).append(asked)
            case task_claims.CompleteTask() | task_claims.FailTask() | task_claims.ReleaseClaim():
                self._forget_claim(tenant, command.fence)
                if orjson.loads(body)["is_dead_letter"]:
                    self._dead.setdefault(tenant, []).append(command.task_id)
            case task_spawning.RetryTask():
                self._dead[tenant] = []
            case _:
                pass

    def note_rejected(self, tenant: str, command: Command) -> None:
        match command:
            case task_claims.ClaimCommand():
                self._forget_claim(tenant, command.fence)
            case task_spawning.RetryTask():
                self._dead[tenant] = []
            case task_spawning.AnswerInput():
                self._asked[tenant] = []
            case _:
                pass

    def _forget_claim(self, tenant: str, fence: int) -> None:
        held = self._held.get(tenant, ())
        self._held[tenant] = [one for one in held if one.fence != fence]

    def _note_claim(self, tenant: str, worker: AgentRef, task: dict[str, Any] | None) -> None:
        if task is not None:
            claim = task["claim"]
            held = _Held(
                task_id=task["id"],
                worker=worker,
                fence=claim["fence"],
                expires_at=claim["expires_at"],
            )
            self._held.setdefault(tenant, []).append(held)

    # -- Commands ------------------------------------------------------------

    def _submit(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        task_id, held = self._new("task"), self._held.get(tenant)
        parent = held[-1] if held and self._random.random() < 0.2 else None
        request = TaskRequest(
            task_id=task_id,
            preset=self._random.choice((None, PRESET, PRESET)),
            model=self._random.choice((None, "small")),
            controls=ToolControls(active_tools=self._random.choice((None, ("search",)))),
            allow_tools=self._random.choice((None, ("search", "read"))),
            deny_tools=self._random.choice(((), ("write",))),
            delegate_only=self._random.choice((None, True)),
            timeout_seconds=self._random.choice(TIMEOUTS_SECONDS),
            retention_seconds=self._random.choice(RETENTION_SECONDS),
        )
        context = self._random.choice(((), self._contents(task_id, CONTEXT_PART)))
        return SpawnTask(
            caller=caller,
            agent=ref if parent is None else parent.worker,
            restrictions=Restrictions(),
            request=request,
            texts=(*self._contents(task_id, TASK_PART), *context),
            parent_id=None if parent is None else parent.task_id,
        )

    def _of_spawner(self, tenant: str, caller: Principal) -> Command:
        own: dict[str, Any] = {
            "caller": caller,
            "agent": AgentRef(),
            "restrictions": Restrictions(),
        }
        submitted, dead = self._submitted[tenant], self._dead.get(tenant)
        match self._random.randrange(6):
            case 0:
                task_id = self._random.choice(submitted[-LATEST_MAX:])
                return task_spawning.CancelTask(**own, task_id=task_id)
            case 1 | 2:
                task_id = self._random.choice((dead or submitted)[-LATEST_MAX:])
                return task_spawning.RetryTask(caller=caller, task_id=task_id)
            case _:
                known = self._asked.get(tenant) or [(submitted[-1], "unknown")]
                task_id, input_id = self._random.choice(known[-2:])
                answer = self._contents(self._new("answer"), TEXT_PART)
                return task_spawning.AnswerInput(
                    **own, task_id=task_id, input_id=input_id, text=answer
                )

    def _of_worker(  # noqa: PLR0911 - one for each command.
        self, caller: Principal, held: _Held
    ) -> Command:
        claim: dict[str, Any] = {
            "caller": caller,
            "agent": held.worker,
            "task_id": held.task_id,
            "fence": held.fence,
        }
        text = self._contents(self._new("text"), TEXT_PART)
        match self._random.randrange(12):
            case 0 | 1:
                seconds = self._random.choice(CLAIM_SECONDS)
                return task_claims.RenewClaim(**claim, seconds=seconds)
            case 2 | 3:
                return task_claims.ReportProgress(
                    **claim,
                    percent=self._random.choice((None, 50)),
                    message=self._random.choice((None, "half \N{SNOWMAN}")),
                    iterations=self._random.choice((None, 3)),
                    tool_calls_made=self._random.choice((None, 7)),
                    output=self._random.choice(((), text)),
                )
            case 4:
                return task_claims.AddArtifact(
                    **claim, name="report.txt", media_type="text/plain", body=text
                )
            case 5 | 6 | 7:
                kind: InputKind = self._random.choice(("input", "auth"))
                return task_claims.RequestInput(**claim, kind=kind, question=text)
            case 8:
                return task_claims.CompleteTask(
                    **claim, text=text, iterations=self._random.choice((None, 4))
                )
            case 9 | 10:
                outcome: task_claims.FailAs = self._random.choice(
                    ("failed", "rejected", "retry", "retry", "retry")
                )
                return task_claims.FailTask(**claim, error="no access", outcome=outcome)
            case _:
                return task_claims.ReleaseClaim(**claim)

    # -- Values --------------------------------------------------------------

    def _new(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}_spawned_{self._counter:06d}"

    def _contents(self, id_: str, part: str) -> tuple[Content, ...]:
        salt = self._random.randbytes(SALT_BYTES)
        data = self._random.choice((b"short", b"a longer text " * 40))
        return (Content(id=id_, part=part, salt=salt, data=data),)
