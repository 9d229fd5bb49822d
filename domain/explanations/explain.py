"""Explain an event of the log, from the events before it."""

from quorate.domain.explanations.accounts import ACCOUNTS, RULE_OF_A_COMMAND
from quorate.domain.explanations.causes import find_causes
from quorate.domain.explanations.facts import fact_of
from quorate.domain.explanations.histories import select_instances
from quorate.domain.explanations.records import Explanation, History, LoggedEvent
from quorate.domain.identity.agents import AgentRegistered, AgentReregistered
from quorate.domain.registry import new_state


def explain(history: History, decision: LoggedEvent, *, has_gap: bool = False) -> Explanation:
    """Return the rule, its facts and what is possible; ``history`` is what came before, in order.

    Without the events that the rule needs, such as those in an archive, there are no facts.
    ``has_gap``: there were events before that are not in the history.
    """
    event = decision.event
    account = ACCOUNTS.get(type(event))
    if account is None:
        return Explanation(
            rule=RULE_OF_A_COMMAND,
            outcome=type(event).__name__,
            facts=(),
            possible=(),
            is_reproduced=True,
            is_complete=True,
        )
    causes = None
    if not has_gap or account.reason(event) not in account.denies:
        causes = find_causes(account, select_instances(history, decision), decision)
    names = new_state()
    for one in causes or ():
        if isinstance(one.event, AgentRegistered | AgentReregistered):
            names.apply(one.event, one.at)
    reason = getattr(event, "reason", None) or getattr(event, "status", None)
    kind = type(event).__name__
    return Explanation(
        rule=account.rule(event),
        outcome=kind if reason is None else f"{kind}: {reason}",
        facts=tuple([fact_of(one, names) for one in causes or ()]),
        possible=account.possible,
        is_reproduced=causes is not None,
        is_complete=causes is not None and account.is_certain(event),
    )
