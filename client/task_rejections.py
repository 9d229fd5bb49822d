"""Rejections about tasks: one exception class for each problem code, as in rejections.py."""

from quorate.client.errors import ConflictError, NotFoundError, UnauthorizedError
from quorate.client.rejections import RejectedError
from quorate.domain.sessions.task_claims import ClaimDenied, TooManyContents
from quorate.domain.sessions.task_operators import TaskEnded
from quorate.domain.sessions.task_spawning import (
    TaskAlreadyAnswered,
    TaskInputNotFound,
    TaskNotADeadLetter,
)
from quorate.domain.sessions.task_submission import (
    SpawnedTaskFailed,
    SpawnPresetNotFound,
    SpawnPresetsNotConfigured,
    TaskNestingTooDeep,
    TaskTextRequired,
    TaskTimeoutInvalid,
)
from quorate.domain.sessions.tasks import StaleFence, TaskAccessDenied, TaskNotFound


class TaskNotFoundError(RejectedError, NotFoundError):
    """The task does not exist, or not any more."""

    code = TaskNotFound.code


class TaskAccessDeniedError(RejectedError, UnauthorizedError):
    """Another agent handed over the task."""

    code = TaskAccessDenied.code


class StaleFenceError(RejectedError, ConflictError):
    """The claim on the task has ended: stop working on it."""

    code = StaleFence.code


class ClaimDeniedError(RejectedError, UnauthorizedError):
    """The key is bound to another preset."""

    code = ClaimDenied.code


class TooManyContentsError(RejectedError, ConflictError):
    """The task has all the texts and files that it may have."""

    code = TooManyContents.code


class TaskInputNotFoundError(RejectedError, NotFoundError):
    """The task does not wait for this answer."""

    code = TaskInputNotFound.code


class TaskAlreadyAnsweredError(RejectedError, ConflictError):
    """The question was answered, or its worker has the task no longer."""

    code = TaskAlreadyAnswered.code


class TaskNotADeadLetterError(RejectedError, ConflictError):
    code = TaskNotADeadLetter.code


class TaskEndedError(RejectedError, ConflictError):
    """The task has ended, and is in no queue."""

    code = TaskEnded.code


class SpawnedTaskFailedError(RejectedError, ConflictError):
    """The task that the caller waited for failed or was cancelled."""

    code = SpawnedTaskFailed.code


class SpawnPresetNotFoundError(RejectedError, NotFoundError):
    code = SpawnPresetNotFound.code


class SpawnPresetsNotConfiguredError(RejectedError, NotFoundError):
    code = SpawnPresetsNotConfigured.code


class TaskNestingTooDeepError(RejectedError, ConflictError):
    """A task may be nested three deep."""

    code = TaskNestingTooDeep.code


class TaskTextRequiredError(RejectedError):
    code = TaskTextRequired.code


class TaskTimeoutInvalidError(RejectedError):
    code = TaskTimeoutInvalid.code
