"""How tests are spread over the cores: by file, and what shares the services to one worker.

A file's tests stay together, with their fixtures. Tests on the services of ``distributed.shared()`` are known
by the axis in their names (tests/support/axes.py), and go to one worker, so that these are started once. Each
worker that needs a broker or a database alone has its own. What takes long is begun first, so that no worker
has it left at the end.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SERVICES = "services"
_ON_SERVICES = re.compile(r"\[(.*-)?distributed-(gateway|direct)\b")
#: In the order in which they are begun.
_FOLDERS = ("faults", "scenarios", "security", "simulation")


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another that spreads them."""
    return hasattr(config, "workerinput")


def workers(config: pytest.Config) -> int:
    """How many processes run tests."""
    return max(1, len(config.getoption("tx", None) or []))


def scope_of(nodeid: str) -> str:
    """What a test stays together with: its file, or all that use the services."""
    return SERVICES if _ON_SERVICES.search(nodeid) else nodeid.partition("::")[0]


def rank(item: pytest.Item) -> tuple[bool, bool, int]:
    """What an item is sorted by; the sort is stable, and the same in each worker."""
    folder = item.nodeid.split("/")[1]
    last = _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS)
    return (scope_of(item.nodeid) != SERVICES, item.get_closest_marker("distributed") is None, last)


class ByScope(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """As ``--dist loadscope``, with scopes of ours, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
