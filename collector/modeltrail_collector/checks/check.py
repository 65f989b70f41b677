"""One line of what `modeltrail doctor` answers."""

from typing import Literal

import msgspec


class Check(msgspec.Struct, frozen=True):
    """What was looked at and seen, and what to do about it.

    `fail` loses or delays events, `warn` may, later; `unreachable`: Kafka or the store does not answer.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""
    unreachable: bool = False
