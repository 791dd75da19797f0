"""What a scientist's environment gets by ``pip install funcledger``."""

import re
from importlib import metadata

from packaging.requirements import Requirement


def needed(name: str, found: set[str]) -> set[str]:
    """The distributions that this one brings on this machine, itself included."""
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    if canonical not in found:
        found.add(canonical)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed(requirement.name, found)
    return found


def test_the_base_install_has_at_most_18_distributions_and_none_that_is_known_to_be_compiled() -> None:
    found = needed("funcledger", set())
    assert "dill" in found
    assert len(found) <= 18, sorted(found)
    assert not found & {"pydantic-core", "msgspec", "orjson", "uvloop", "httptools", "fastavro", "psutil"}


def test_our_ranges_are_loose() -> None:
    """No pin and no upper bound: the SDK lives in other people's environments."""
    ours = [Requirement(text) for text in metadata.requires("funcledger") or () if "extra ==" not in text]
    assert ours
    assert {part.operator for requirement in ours for part in requirement.specifier} == {">="}
