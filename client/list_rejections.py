"""Rejections of task lists: one exception class for each problem code, as in rejections.py."""

from quorate.client.errors import ConflictError, NotFoundError
from quorate.client.rejections import RejectedError
from quorate.domain.sessions import list_items, parameters, task_lists


class MissingParameterError(RejectedError):
    """A parameter is missing that the other parameters of the tool require."""

    code = parameters.MissingParameter.code


class UnknownListActionError(RejectedError):
    code = task_lists.UnknownListAction.code


class UnknownTaskStatusError(RejectedError):
    code = task_lists.UnknownTaskStatus.code


class TaskListNotFoundError(RejectedError, NotFoundError):
    code = task_lists.TaskListNotFound.code


class TaskListNotEmptyError(RejectedError, ConflictError):
    """Only an empty list can be deleted."""

    code = task_lists.TaskListNotEmpty.code


class TooManyTaskListsError(RejectedError, ConflictError):
    code = task_lists.TooManyTaskLists.code


class TooManyListItemsError(RejectedError, ConflictError):
    code = task_lists.TooManyListItems.code


class TooManyFollowersError(RejectedError, ConflictError):
    code = task_lists.TooManyFollowers.code


class BlockerNotFoundError(RejectedError):
    code = task_lists.BlockerNotFound.code


class BlockedInCircleError(RejectedError):
    code = task_lists.BlockedInCircle.code


class ListItemNotFoundError(RejectedError, NotFoundError):
    code = list_items.ListItemNotFound.code


class ListItemNotClaimableError(RejectedError, ConflictError):
    """Another agent has claimed the task, or it is completed."""

    code = list_items.ListItemNotClaimable.code


class ListItemBlockedError(RejectedError, ConflictError):
    code = list_items.ListItemBlocked.code


class ListItemBlocksError(RejectedError, ConflictError):
    """A task that blocks others is not deleted."""

    code = list_items.ListItemBlocks.code


class IllegalTransitionError(RejectedError, ConflictError):
    code = list_items.IllegalTransition.code


class ListItemOwnedError(RejectedError, ConflictError):
    """Only the agent that claimed the task may do this."""

    code = list_items.ListItemOwned.code


class VersionMismatchError(RejectedError, ConflictError):
    """The task has changed since the version that was expected."""

    code = list_items.VersionMismatch.code


class TooManyClaimsError(RejectedError, ConflictError):
    code = list_items.TooManyClaims.code
