"""What calls change of how modules are found, and in those modules that the worker itself stands on."""

import json
import json.decoder
import json.encoder
import math
import pickle
import random
import sys
import time
from types import ModuleType
from typing import Any, SupportsIndex

from funcledger_endpoint.worker.changes import is_imported, is_importing

#: In these, attributes that calls have replaced are put back.
_COMMON = (pickle, json, json.decoder, json.encoder, random, math, time)
_MISSING = object()


class ImportPath(list[str]):
    """``sys.path``, which knows what modules have added to it while they were imported; that stays."""

    def __init__(self, entries: list[str]) -> None:
        super().__init__(entries)
        self.kept = list(entries)

    def insert(self, index: SupportsIndex, entry: str, /) -> None:
        """As of a list."""
        super().insert(index, entry)
        if is_importing():
            self.kept.insert(index, entry)

    def append(self, entry: str, /) -> None:
        """As of a list."""
        super().append(entry)
        if is_importing():
            self.kept.append(entry)

    def __reduce__(self) -> Any:
        return list, (list(self),)


class ImportState:
    """As it is before the first call, when this is made; modules that are imported later are added to it."""

    def __init__(self) -> None:
        #: What ``sys.path`` is to be.
        self.path = ImportPath(sys.path)
        self._modules: dict[str, Any] = {}
        self._attributes: list[tuple[ModuleType, dict[str, Any]]] = []

    def watch(self) -> None:
        """Begin, once all else is watched."""
        sys.path = self.path
        self._modules = dict(sys.modules)
        self._attributes = [(module, dict(vars(module))) for module in _COMMON]

    def changed(self) -> bool:
        """Whether a call has changed what modules are, or may have; the path apart. It takes 5 to 10 µs."""
        return sys.modules != self._modules or any(vars(one) != kept for one, kept in self._attributes)

    def put_back(self) -> None:
        """Put all of it back."""
        if sys.path is not self.path or self.path != self.path.kept:
            self.path[:] = self.path.kept
            sys.path = self.path
        if self.changed():  # to go through all of it takes 100 µs
            self._put_modules_back()

    def _put_modules_back(self) -> None:
        found: dict[str, Any] = dict(sys.modules)
        for name, module in found.items():
            if module is None and self._modules.get(name, module) is None:
                del sys.modules[name]
        sys.modules.update(self._modules)
        imported = len(sys.modules) > len(self._modules)
        self._modules = dict(sys.modules)
        for module, kept in self._attributes:
            _put_attributes_back(vars(module), kept, imported=imported)


def _put_attributes_back(found: dict[str, Any], kept: dict[str, Any], *, imported: bool) -> None:
    """But for what a library that was ``imported`` meanwhile has put there of its own, as some do."""
    for name in found.keys() | kept.keys():
        value = found.get(name, _MISSING)
        if value is kept.get(name, _MISSING):
            continue
        if imported and is_imported(value):
            kept[name] = value
        elif name in kept:
            found[name] = kept[name]
        else:
            del found[name]
