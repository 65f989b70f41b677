"""What a request asks for behind the `?`, checked."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from modeltrail_collector.clock import moment
from modeltrail_collector.web.refusal import Refusal

_LIMIT: Final = 100
_MOST: Final = 1_000
_FARTHEST: Final = 1_000_000_000
_DEPTH: Final = 20
_DEEPEST: Final = 100


class Query:
    """The parameters of a request. Every method raises Refusal (400) for a value that cannot be used."""

    def __init__(self, params: Mapping[str, str]) -> None:
        self._params = params

    def only(self, known: Collection[str]) -> None:
        """Refuse a parameter that is none of these: it would say nothing."""
        for name in self._params:
            if name not in known:
                raise Refusal(400, f"{name!r} is no parameter of this: there are {', '.join(sorted(known))}")

    def text(self, name: str) -> str | None:
        """A text; None where it is not given."""
        return self._params.get(name)

    def needed(self, name: str) -> str:
        """A text that has to be given."""
        if not (value := self._params.get(name)):
            raise Refusal(400, f"say which with the parameter {name!r}")
        return value

    def number(self, name: str, otherwise: int, least: int, most: int) -> int:
        """A whole number."""
        value = self._params.get(name, str(otherwise))
        if not (value.isascii() and value.isdigit() and len(value) <= 10 and least <= int(value) <= most):
            raise Refusal(400, f"{name} is {value!r}: write a whole number from {least} to {most}")
        return int(value)

    def limit(self) -> int:
        """How many at most."""
        return self.number("limit", _LIMIT, 1, _MOST)

    def page(self) -> tuple[int, int]:
        """`limit` and `offset`."""
        return self.limit(), self.number("offset", 0, 0, _FARTHEST)

    def depth(self) -> int:
        """How many edges far."""
        return self.number("depth", _DEPTH, 0, _DEEPEST)

    def choice(self, name: str, *values: str) -> str | None:
        """One of these words, in any case; None where it is not given."""
        value = self._params.get(name)
        if value is None:
            return None
        found = [one for one in values if one.lower() == value.lower()]
        if not found:
            raise Refusal(400, f"{name} is {value!r}: write {' or '.join(values)}")
        return found[0]

    def time(self, name: str) -> datetime | None:
        """A time, or how long ago."""
        value = self._params.get(name)
        try:
            return None if value is None else moment(value)
        except ValueError as error:
            raise Refusal(400, f"{name}: {error}") from error
