"""What an installation gets by ``pip install funcledger``, with and without extras."""

import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Imports these modules where a module of none but the named distributions is to be had.
_IMPORT = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not installed")

absent = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


def needed(name: str, extras: set[str], found: set[str]) -> set[str]:
    """The distributions that this one brings on this machine, itself included."""
    canonical = canonicalize_name(name)
    if canonical in found and not extras:
        return found
    found.add(canonical)
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            needed(requirement.name, requirement.extras, found)
    return found


def absent_modules(extras: set[str]) -> set[str]:
    """The top-level modules here that ``funcledger`` with these extras would not bring."""
    there = needed("funcledger", extras, set())
    by_module = metadata.packages_distributions()
    return {module for module, names in by_module.items() if there.isdisjoint(map(canonicalize_name, names))}


def test_the_base_install_has_at_most_18_distributions_and_none_that_is_known_to_be_compiled() -> None:
    found = needed("funcledger", set(), set())
    assert "dill" in found
    assert len(found) <= 18, sorted(found)
    assert not found & {"pydantic-core", "msgspec", "orjson", "uvloop", "httptools", "fastavro", "psutil"}


def test_our_ranges_are_loose() -> None:
    """No pin and no upper bound: the SDK lives in other people's environments."""
    ours = [Requirement(text) for text in metadata.requires("funcledger") or () if "extra ==" not in text]
    assert ours
    assert {part.operator for requirement in ours for part in requirement.specifier} == {">="}


@pytest.mark.parametrize(
    ("extras", "modules"),
    [
        ("", ["funcledger", "funcledger_compose.main"]),
        ("cli", ["funcledger_compose.cli.app"]),
        ("endpoint", ["funcledger_compose.cli.app", "funcledger_compose.agent_process"]),
        (
            "endpoint,kafka",
            ["funcledger_compose.agent_process", "funcledger_compose.on_kafka", "funcledger_event_log.kafka"],
        ),
        ("server", ["funcledger_compose.cli.serve", "funcledger_compose.backends"]),
        ("server,endpoint", ["funcledger_compose.standalone", "funcledger_compose.demo"]),
        (
            "server,kafka,mongo",
            ["funcledger_compose.serve", "funcledger_compose.topics", "funcledger_read_models.mongo"],
        ),
        ("server,kafka,mongo", ["funcledger_compose.migration.migrate"]),
    ],
)
def test_what_an_extra_is_for_needs_that_extra_alone(extras: str, modules: list[str]) -> None:
    absent = absent_modules(set(extras.split(",")))
    assert "pytest" in absent
    run = [sys.executable, "-c", _IMPORT, ",".join(absent), *modules]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
