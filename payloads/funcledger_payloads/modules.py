"""What of the user's modules goes along with code: what it looks for by name, by text, or in the whole of it.

Names that code loads go along, and those that stand in it as text. Where it looks for names that stand
nowhere in it, or does something else with a module than to load from it, all goes along that can.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol, TypeVar

from funcledger_payloads import rebuild
from funcledger_payloads.errors import SerializationError
from funcledger_payloads.imports import imported_by
from funcledger_payloads.references import cell_contents, references_of
from funcledger_payloads.refusals import is_refused, refuse

_PASSES = 20
#: What every module has of the import system.
OF_IMPORTS = frozenset(
    {"__builtins__", "__loader__", "__spec__", "__cached__", "__name__", "__package__", "__path__"}
)
#: What Python itself looks for in a module.
HOOKS = frozenset({"__getattr__", "__dir__"})


@dataclass(slots=True, frozen=True)
class Plan:
    """What of the user's modules is written with a value; each attempt shows what the next one needs.

    ``names`` of each module, by its identity. ``certain``: those that code loads from a global. ``strings``:
    names of globals that code may look up as text. ``importable``: modules that code imports while it runs.
    ``careful``: what cannot travel is left out, for looking up a name of it to fail, and say why.
    ``lean``: nothing is written that no code names.
    """

    names: dict[int, frozenset[str]] = field(default_factory=dict)
    certain: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    importable: frozenset[int] = frozenset()
    careful: bool = False
    lean: bool = False
    #: Why values, by identity, cannot travel; and whether there was a module at all.
    reasons: dict[int, str] = field(default_factory=dict)
    modules: list[ModuleType] = field(default_factory=list)


class ModuleUses:
    """What the code of one value does with the user's modules, noted while the value is written."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.codes: list[CodeType] = []
        self.modules: list[ModuleType] = []
        self.looks = False
        #: Identities of modules: that code has under a name, that it gives away, that it imports.
        self._named: set[int] = set()
        self._given_away: set[int] = set()
        self._imported: set[int] = set()
        #: Of modules in modules, the names that they have there.
        self._within: dict[int, set[str]] = {}

    def note_function(self, function: FunctionType) -> tuple[dict[str, Any], list[ModuleType]]:
        """The globals that its code may look for, and the user's modules that it imports."""
        about, there = references_of(function.__code__), function.__globals__
        self.codes.append(function.__code__)
        names = dict.fromkeys(about.names)
        if about.looks:
            self.looks = True
            names |= dict.fromkeys(sorted(self.plan.strings))
        used = {name: there[name] for name in names if name in there}
        for name, value in used.items():
            if type(value) is ModuleType:
                (self._given_away if name in about.values else self._named).add(id(value))
        self._named.update(map(id, cell_contents(function)))
        imported = imported_by(function)
        self._imported.update(map(id, imported))
        return used, imported

    def next_plan(self) -> Plan:
        """What another attempt would write, now that this one has shown more of the code."""
        plan = self.plan
        about, looks = [references_of(code) for code in self.codes], self.looks
        strings = frozenset[str]().union(*(one.strings for one in about)) if not plan.lean else frozenset()
        wanted = strings.union(*(one.attributes for one in about))
        names = dict(plan.names)
        for module in self.modules:
            whole = not plan.lean and self._is_whole(module, wanted, looks=looks)
            found = {name for name in vars(module) if name in wanted or name in HOOKS}
            if whole:
                found.update(vars(module).keys() - OF_IMPORTS)
            names[id(module)] = names.get(id(module), frozenset()) | found
        certain = plan.certain.union(*(one.from_names for one in about))
        importable = plan.importable | self._imported
        strings = plan.strings | strings if looks else plan.strings
        return replace(plan, names=names, certain=certain, strings=strings, importable=importable)

    def _is_whole(self, module: ModuleType, wanted: frozenset[str], *, looks: bool) -> bool:
        """Whether something may be looked for there that no code names."""
        this = id(module)
        by_name = this in self._named or this in self._imported
        within = self._within.get(this)
        if this in self._given_away or (within is None and not by_name):
            return True
        return looks and (by_name or not wanted.isdisjoint(within or ()))

    def written_of(self, module: ModuleType, what_is_wrong: Callable[[Any], str | None]) -> dict[str, Any]:
        """What is written of it; ``what_is_wrong`` says why a value cannot travel."""
        self.modules.append(module)
        self.plan.modules.append(module)
        names = self.plan.names.get(id(module), frozenset())
        state: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for name in [name for name in vars(module) if name in names]:
            value = vars(module)[name]
            # What code is sure to look for there is refused here and now if it cannot travel.
            why = None if name in self.plan.certain else self._why_left_out(value, what_is_wrong)
            if why is not None:
                missing[name] = why
                continue
            state[name] = value
            if type(value) is ModuleType:
                self._within.setdefault(id(value), set()).add(name)
        if missing:
            state[rebuild.MISSING] = missing
        if id(module) in self.plan.importable:
            state[rebuild.IMPORTABLE] = True
        if hasattr(module, "__path__"):
            state["__path__"] = []
        return state

    def _why_left_out(self, value: Any, what_is_wrong: Callable[[Any], str | None]) -> str | None:
        if is_refused(value):
            try:
                refuse(value)
            except SerializationError as error:
                return str(error)
        if not self.plan.careful:
            return None
        if id(value) not in self.plan.reasons:
            self.plan.reasons[id(value)] = what_is_wrong(value) or ""
        return self.plan.reasons[id(value)] or None


class Writer(Protocol):
    """What writes a value, and notes what its code does with modules."""

    @property
    def uses(self) -> ModuleUses:
        """What was noted."""


_W = TypeVar("_W", bound=Writer)
#: Writes a value as planned.
Attempt = Callable[[Plan], tuple[bytes, _W]]


def until_settled(attempt: Attempt[_W], plan: Plan | None = None) -> tuple[bytes, _W]:
    """What is written once every module of the user's has all that code on the way may look for there.

    Where that fails for something that is only perhaps looked for, it is left out.
    """
    plan = plan or Plan()
    try:
        return _until_settled(attempt, plan)
    except Exception:
        if plan.lean or not plan.modules:
            raise
        return _until_settled(attempt, replace(plan, careful=True))


def _until_settled(attempt: Attempt[_W], plan: Plan) -> tuple[bytes, _W]:
    for _ in range(_PASSES):
        payload, writer = attempt(plan)
        uses = writer.uses
        if not (uses.modules or uses.looks):
            break
        following = uses.next_plan()
        if following == plan:
            break
        plan = following
    return payload, writer


def fill(module: ModuleType, attributes: dict[str, Any]) -> bool:
    """Give a module what was written of it; whether code that came with it imports it."""
    missing, importable = attributes.pop(rebuild.MISSING, None), attributes.pop(rebuild.IMPORTABLE, False)
    vars(module).update(attributes)
    if missing:
        vars(module)["__getattr__"] = LeftBehind(module.__name__, missing, attributes.get("__getattr__"))
    return bool(importable)


class LeftBehind:
    """A module's ``__getattr__``: to look for what did not travel is an error, and gives no default."""

    def __init__(self, module: str, reasons: dict[str, str], theirs: Callable[[str], Any] | None) -> None:
        self._module, self._reasons, self._theirs = module, reasons, theirs

    def __call__(self, name: str) -> Any:
        """What the module's own function gives, if it has one, for what is not in it.

        Raises:
            SerializationError: it is in the module where the call comes from, and could not travel.
            AttributeError: it is not there either.
        """
        if name in self._reasons:
            raise SerializationError(
                f"{self._module}.{name} did not come with the call: {self._reasons[name]}"
            )
        if self._theirs is not None:
            return self._theirs(name)
        raise AttributeError(f"module {self._module!r} has no attribute {name!r}")
