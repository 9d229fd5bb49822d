"""Explain decisions and refusals: the rule, the facts, the command, and what is possible."""

import asyncio

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import Json, dump
from quorate.contracts.explanations import EXPLAIN
from quorate.contracts.problems import KINDS, NothingToExplain
from quorate.contracts.refusals import possible_of, rule_of
from quorate.domain.explanations.explain import explain
from quorate.domain.explanations.records import Possible
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.timestamps import iso
from quorate.projections.explained_events import ExplainedEvent, ExplainedEvents

EVENT_BYTES = 32  # Counted for an event that was read.


@handles(EXPLAIN)
async def explain_id(service: Service, call: Call) -> Reply:
    principal: Principal = call.principal
    id_ = call.path["id"]
    if id_ in KINDS:
        return Reply(body=dump(_explain_code(id_)))
    async with service.read_budget.turn(principal):
        found = await ExplainedEvents(service.log).find(principal.tenant, id_)
        if found is None:
            raise NothingToExplain
        # It replays the history for each of its events: too long for the event loop.
        body = dump(await asyncio.to_thread(_explain_event, id_, found))
    service.read_budget.charge(principal, max(len(body), len(found.history) * EVENT_BYTES))
    return Reply(body=body, sequence=found.head)


def _explain_code(code: str) -> Json:
    return {
        "id": code,
        "rule": rule_of(code),
        "outcome": KINDS[code].title,
        "facts": [],
        "possible": [_render_possible(possible_of(code))],
        "isComplete": True,
    }


def _explain_event(id_: str, found: ExplainedEvent) -> Json:
    decision = found.decision
    explanation = explain(found.history, decision, has_gap=found.gap is not None)
    body: Json = {
        "id": id_,
        "rule": explanation.rule,
        "outcome": explanation.outcome,
        "facts": [
            {"kind": one.kind, "text": one.text, "sequence": one.sequence, "at": iso(one.at)}
            for one in explanation.facts
        ],
        "command": {
            "actor": decision.actor,
            "commandId": decision.command_id,
            "sequence": decision.sequence,
            "eventId": decision.id,
            "at": iso(decision.at),
        },
        "possible": [_render_possible(one) for one in explanation.possible],
        "isComplete": explanation.is_complete,
    }
    if found.gap is not None:
        body["gap"] = {"after": found.gap.after, "until": found.gap.until}
    return body


def _render_possible(one: Possible) -> Json:
    return {"action": one.action, "when": one.when}
