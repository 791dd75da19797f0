"""What this writer knows of each document's revision, so that it overwrites only what it has seen."""

from collections.abc import Mapping

from bson import ObjectId

from funcledger_read_models.documents import Model
from funcledger_read_models.port import StaleWriter

#: Of each model, between one and two times as many are remembered: more than a projector remembers
#: documents, and more than one batch touches.
GENERATION = 40_000


class Revisions:
    """Per document its revision when first seen, None where there was none; bounded in two generations.

    The first sight counts, and not the latest: what was folded may be older than what was read last.
    """

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young: dict[Model, dict[str, ObjectId | None]] = {}
        self._old: dict[Model, dict[str, ObjectId | None]] = {}
        self._incomplete = False

    def look_up(self, model: Model, ids: list[str]) -> tuple[dict[str, ObjectId | None], list[str]]:
        """The revisions known, and the ids of documents never seen.

        Raises:
            StaleWriter: one is not known but may have been, so what it was folded from is unsure.
        """
        young, old = self._young.get(model, {}), self._old.get(model, {})
        known = {
            each: young[each] if each in young else old[each] for each in ids if each in young or each in old
        }
        unseen = [each for each in ids if each not in known]
        if unseen and self._incomplete:
            raise StaleWriter(
                f"what {model.name} looked like when it was read has been forgotten; read again"
            )
        return known, unseen

    def seen(self, model: Model, revisions: Mapping[str, ObjectId | None]) -> None:
        """These were read."""
        young, old = self._young.setdefault(model, {}), self._old.get(model, {})
        for each, revision in revisions.items():
            young.setdefault(each, old.get(each, revision))
        self._turn(model)

    def written(self, model: Model, ids: list[str], revision: ObjectId) -> None:
        """These were written by this writer."""
        self._young.setdefault(model, {}).update(dict.fromkeys(ids, revision))
        self._turn(model)

    def clear(self) -> None:
        """Forget everything: whoever saves begins again."""
        self._young.clear()
        self._old.clear()
        self._incomplete = False

    def _turn(self, model: Model) -> None:
        if len(self._young[model]) >= self._generation:
            self._incomplete = self._incomplete or bool(self._old.get(model))
            self._old[model], self._young[model] = self._young[model], {}
