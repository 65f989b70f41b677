"""Which things of two model versions are the same thing: by what they are, never by where they stand.

The one place for all that holds versions against each other: table `changes`, `answers.changes` and
`answers.why`.

What a producer numbers in the order in which it came has no name: data in memory (`train/test-2`, as the
emitter calls it), a step of which there are several (`merge-2`). It goes by its content.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

IN_MEMORY: Final = "inmemory://"

# What the emitter calls data in memory that has no name (`runs.facts.Facts.called`). The number, from the
# second on, says in which order it came, and not what it is.
_UNNAMED: Final = re.compile(
    r"/(?:train|validation|test|calibration|reference|inference|prompt|other|data)(-\d+)?$"
)

Content = tuple[str, str]
"""Which content data had: how that is told, and what is told."""

One = TypeVar("One")
Rule = Callable[[One], object]
"""What a thing goes by; None where it has nothing of the kind."""


class Dataset(Protocol):
    """A dataset that a version was made from."""

    @property
    def namespace(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def use(self) -> str | None: ...  # noqa: D102
    @property
    def content(self) -> Content | None: ...  # noqa: D102


class Metric(msgspec.Struct, frozen=True):
    """One figure about a model version, of its own run (`source` is summary) or of an evaluation of it.

    `namespace` and `content` are those of the dataset that it was measured on.
    """

    name: str
    value: float | None
    split: str | None = None
    dataset: str | None = None
    slice: str | None = None
    source: str = "summary"
    run_id: str | None = None
    namespace: str | None = None
    content: Content | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What figures must share to be held against each other."""
        return self.source, self.name, self.split or "", _slice(self.slice)

    @property
    def is_numbered(self) -> bool:
        """Whether the name of its dataset says no more than in which order it came."""
        return is_numbered(self.namespace, self.dataset)


class Step(msgspec.Struct, frozen=True):
    """One step from raw data to features.

    `does` is what it does, with which parameters, to which columns; `after` what the steps before it do.
    """

    id: str | None
    op: str
    does: str
    after: tuple[str, ...] = ()

    @property
    def is_numbered(self) -> bool:
        """Whether its id is the operation and which one it was of these."""
        return self.id is not None and re.fullmatch(rf"{re.escape(self.op)}-\d+", self.id) is not None

    @property
    def is_named(self) -> bool:
        """Whether its id says more than the operation."""
        return self.id not in {None, self.op} and not self.is_numbered


def _slice(told: str | None) -> str:
    """A slice by several columns (JSON, column -> value) is the same in whichever order they are told."""
    if not told:
        return ""
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        return told
    return json.dumps(found, sort_keys=True) if isinstance(found, dict) else told


def content(
    namespace: str | None, name: str | None, fingerprint: str | None, version: str | None, how: str = ""
) -> Content | None:
    """Which content data had, as far as anybody said; `how` it was fingerprinted.

    A version says it only of the data of one name: version 3 of another table is another content.
    """
    if fingerprint:
        return f"fingerprint {how}", fingerprint
    return (f"version of {namespace} {name}", version) if version else None


def same_content(was: Content | None, now: Content | None) -> bool | None:
    """Whether two contents are the same; None where nobody can tell."""
    if was is None or now is None or was[0] != now[0]:
        return None
    return was == now


def is_unnamed(namespace: str | None, name: str | None) -> bool:
    """Whether data existed only inside of a run, and nobody gave it a name."""
    return namespace == IN_MEMORY and _UNNAMED.search(name or "") is not None


def is_numbered(namespace: str | None, name: str | None) -> bool:
    """Whether the name of data says no more than in which order it came."""
    found = _UNNAMED.search(name or "") if namespace == IN_MEMORY else None
    return bool(found and found[1])


def figures(old: Sequence[Metric], new: Sequence[Metric]) -> list[tuple[Metric | None, Metric | None]]:
    """Figures by the content that they were measured on, else by its name, else where one is left over."""
    return _match(
        old,
        new,
        lambda one: one.content and (one.key, one.dataset, one.content),
        lambda one: one.content and (one.key, one.content),
        lambda one: None if one.is_numbered else (one.key, one.dataset),
        lambda one: None if one.is_numbered else one.key,
    )


_D = TypeVar("_D", bound=Dataset)


def datasets(
    old: Sequence[_D], new: Sequence[_D], by: Rule[_D] = lambda _: ()
) -> list[tuple[_D | None, _D | None]]:
    """Datasets by name, unnamed ones by content; then by content, by name without digits, by use.

    The name without digits is for `2026-09.csv` and `2026-10.csv`; `by` is what two must share that are held
    against each other for their use alone.
    """
    return _match(
        old,
        new,
        lambda one: (_content_of_unnamed(one), one.name) if _content_of_unnamed(one) else None,
        _content_of_unnamed,
        lambda one: None if is_numbered(one.namespace, one.name) else (one.namespace, one.name),
        lambda one: one.content,
        lambda one: (one.namespace, re.sub(r"\d+", "#", one.name)),
        lambda one: (by(one), one.use, one.namespace == IN_MEMORY),
    )


def _content_of_unnamed(one: Dataset) -> Content | None:
    return one.content if is_unnamed(one.namespace, one.name) else None


def steps(old: Sequence[Step], new: Sequence[Step]) -> list[tuple[Step | None, Step | None]]:
    """Steps by what they do and after what, else by id, else where one of an operation is left over.

    One that its author named is that step, whatever it does.
    """
    return _match(
        old,
        new,
        lambda one: (one.id, one.does, one.after),
        lambda one: None if one.is_named else (one.does, one.after),
        lambda one: None if one.is_named else one.does,
        lambda one: None if one.is_numbered else one.id,
        lambda one: None if one.is_named else one.op,
    )


def _match(old: Sequence[One], new: Sequence[One], *rules: Rule[One]) -> list[tuple[One | None, One | None]]:
    """One rule after the other, each for what the one before it left over.

    A rule holds two against each other where each is the only one on its side that goes by that.
    """
    pairs: list[tuple[One | None, One | None]] = []
    for rule in rules:
        if not old or not new:
            break
        left, right = _alone(old, rule), _alone(new, rule)
        found = [(left[key], right[key]) for key in left if key in right]
        pairs += found
        done = {id(one) for pair in found for one in pair}
        old, new = ([one for one in side if id(one) not in done] for side in (old, new))
    return [*pairs, *((one, None) for one in old), *((None, one) for one in new)]


def _alone(side: Iterable[One], rule: Rule[One]) -> dict[object, One]:
    found: dict[object, list[One]] = defaultdict(list)
    for one in side:
        if (key := rule(one)) is not None:
            found[key].append(one)
    return {key: several[0] for key, several in found.items() if len(several) == 1}
