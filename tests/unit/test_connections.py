"""How many connections a server may have, with the files that its process may have."""

import resource

import pytest

from funcledger_compose.connections import ConnectionLimits, with_room
from funcledger_compose.settings import SettingsError, load

pytestmark = pytest.mark.attack(34)

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (1024, 20_000, 4096 + 256, 4096),
        (256, UNLIMITED, 4096 + 256, 4096),
        (1024, 1024, 1024, 768),
        (512, 2048, 2048, 1792),
        (100, 100, 100, 1),
        (8192, 8192, None, 4096),
        (UNLIMITED, UNLIMITED, None, 4096),
    ],
)
def test_files_are_asked_for_and_connections_are_fewer_where_there_are_none(
    soft: int, hard: int, raised: int | None, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: asked.append(limits))
    found = with_room(ConnectionLimits())
    assert found.connections == connections
    assert asked == ([] if raised in (None, soft) else [(raised, hard)])


@pytest.mark.parametrize(
    ("name", "value"),
    [("connections", "0"), ("connections_per_address", "0"), ("bodies", "1000"), ("bodies_per_user", "1000")],
)
def test_a_limit_that_would_leave_nothing_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be at least"):
        load(environ={f"FUNCLEDGER_{name.upper()}": value})
