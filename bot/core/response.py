"""What is kept of a command's interaction, so that its answer finds the way back."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a command, which its token fills in for 15 minutes.

    Attributes:
        application_id: Whose webhook the response is.
        token: A secret: never logged, and forgotten with the question's end.
        may_post: The bot may write to the channel, too.
    """

    application_id: int
    token: str = field(repr=False)
    may_post: bool = True
