"""Actions of operators: each has a reason, which its event holds.

The reason of the actions on mail is called ``detail``, as in the first version of them. A paused
tenant permits all of them: operators act in it, and unpause it.
"""

from collections.abc import Mapping

# The field of the body, or of the query if there is no body, by the name of the operation.
REASON_REQUIRED: Mapping[str, str] = dict.fromkeys(
    (
        *("endLease", "endConsensus", "deactivateAgent", "cancelTask", "requeueTask"),
        *("pauseSchedule", "resumeSchedule", "pauseTenant", "unpauseTenant"),
    ),
    "reason",
)
REASON_OPTIONAL: Mapping[str, str] = {
    **dict.fromkeys(("retryTask", "revokeKey", "suspendTenant", "resumeTenant"), "reason"),
    **dict.fromkeys(
        ("retryDeadLetter", "dropDeadLetter", "freezeMailAccount", "thawMailAccount"), "detail"
    ),
}
OPERATOR_ACTIONS: Mapping[str, str] = {**REASON_REQUIRED, **REASON_OPTIONAL}
