"""Rejections about presets and tools: one exception class for each problem code."""

from quorate.client.errors import ConflictError, NotFoundError, UnauthorizedError
from quorate.client.rejections import RejectedError
from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.sessions import presets, tool_controls
from quorate.domain.sessions.policies import ToolDenied


class ToolDeniedError(RejectedError, UnauthorizedError):
    """The preset of the key, or the current session, does not permit this tool."""

    code = ToolDenied.code


class PresetNotFoundError(RejectedError, NotFoundError):
    code = PresetNotFound.code


class PresetInvalidError(RejectedError):
    """``details`` names the field (``path``), and says what is wrong (``why``)."""

    code = presets.PresetInvalid.code


class TooManyPresetsError(RejectedError, ConflictError):
    code = presets.TooManyPresets.code


class AgentRequiredError(RejectedError):
    """A key of the tenant that acts in sessions names the agent that it acts for."""

    code = presets.AgentRequired.code


class InvalidToolChoiceError(RejectedError):
    code = tool_controls.InvalidToolChoice.code


class InvalidActiveToolsError(RejectedError):
    code = tool_controls.InvalidActiveTools.code
