"""Rejections of schedules: one exception class for each problem code, as in rejections.py."""

from quorate.client.errors import ConflictError, NotFoundError
from quorate.client.rejections import RejectedError
from quorate.domain.sessions import schedule_times, schedules


class UnknownScheduleActionError(RejectedError):
    code = schedules.UnknownScheduleAction.code


class ScheduleInvalidError(RejectedError):
    """The cron expression, the time zone, the distance or the time has no meaning."""

    code = schedule_times.ScheduleInvalid.code


class ScheduleNotFoundError(RejectedError, NotFoundError):
    code = schedules.ScheduleNotFound.code


class ScheduleAgentRemovedError(RejectedError, ConflictError):
    code = schedules.ScheduleAgentRemoved.code


class TooManySchedulesError(RejectedError, ConflictError):
    code = schedules.TooManySchedules.code
