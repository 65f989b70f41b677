"""Evaluations of which it is not known yet what of they are, or all that they score."""

import contextlib
from weakref import ref

from modeltrail.runs.models import Model
from modeltrail.runs.scenes import Evaluation


class Waiting:
    """In the order in which they came, and found by their model: a search by hand has any number of them."""

    def __init__(self) -> None:
        self._all: list[Evaluation] = []
        self._places: dict[int, list[int]] = {}  # id of what holds the model -> places that may be of that

    def add(self, evaluation: Evaluation) -> None:
        """Keep one more."""
        self._places.setdefault(id(evaluation.model), []).append(len(self._all))
        self._all.append(evaluation)

    def add_score(self, found: Evaluation) -> None:
        """Keep one more, with those of the same model on the same data."""
        for place in self._places.get(id(found.model), ()):
            if self._all[place].is_about_as(found):
                self._all[place] = self._all[place].with_more(found.metrics)
                return
        self.add(found)

    def forget(self, thing: object) -> None:
        """An object is another model from here on."""
        held = [thing]
        with contextlib.suppress(TypeError):  # what has no weak references
            held.append(ref(thing))  # the one that evaluations have: there is one of each object
        for holder in held:
            for place in self._places.pop(id(holder), ()):
                if self._all[place].subject is thing:
                    self._all[place] = self._all[place].forgotten()

    def turned_out(self, made: Model) -> None:
        """What was scored of an object that is saved as this model stays its own."""
        for place, each in enumerate(self._all):
            if each.is_of(made):
                self._all[place] = each.weakly(made)
                self._places.setdefault(id(made), []).append(place)

    def take(self) -> list[Evaluation]:
        """All, which wait no more."""
        found, self._all, self._places = self._all, [], {}
        return found
