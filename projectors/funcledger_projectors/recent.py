"""Documents that were touched lately, so that following the log seldom reads what it has just written."""

from collections.abc import Collection, Mapping

from funcledger_read_models.documents import HELD_EVENTS, TASK_RESULTS, Document, Key, Model

Documents = dict[Model, dict[Key, Document]]

#: Of each model, between one and two times as many documents are kept.
GENERATION = 10_000


class Recent:
    """A bounded cache: when the young generation of a model is full it becomes the old, which is dropped."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young: dict[Model, dict[Key, Document]] = {}
        self._old: dict[Model, dict[Key, Document]] = {}

    def look_up(self, wanted: Mapping[Model, Collection[Key]]) -> tuple[Documents, dict[Model, list[Key]]]:
        """The documents it has of those wanted, and the keys of the others."""
        found: Documents = {}
        missing: dict[Model, list[Key]] = {}
        for model, keys in wanted.items():
            known = found[model] = {}
            young, old = self._young.get(model, {}), self._old.get(model, {})
            for key in keys:
                document = young.get(key) or old.get(key)
                if document is not None:
                    known[key] = document
                else:
                    missing.setdefault(model, []).append(key)
        return found, missing

    def keep(self, documents: Mapping[Model, Mapping[Key, Document]]) -> None:
        """Remember these as what the store holds."""
        for model, by_key in documents.items():
            if model in (TASK_RESULTS, HELD_EVENTS):
                continue  # written once, and too large to be worth their memory
            young = self._young.setdefault(model, {})
            young.update(by_key)
            if len(young) >= self._generation:
                self._old[model], self._young[model] = young, {}

    def clear(self) -> None:
        """Forget everything: the store may hold something else."""
        self._young.clear()
        self._old.clear()
