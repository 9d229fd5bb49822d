"""The base classes of the data of notifications."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from quorate.contracts.wire_models import omit_null


class NotificationData(BaseModel):
    """Data of a notification. Fields are camelCase in JSON; times are ISO 8601 in UTC.

    An optional field may be absent.
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra=omit_null,
        defer_build=True,
    )


class MailNotificationData(NotificationData):
    """Data of a notification of mail. Fields are snake_case in JSON, and null if not set."""

    model_config = ConfigDict(alias_generator=None, json_schema_extra=None)
