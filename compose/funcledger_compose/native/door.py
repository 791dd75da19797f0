"""The one address before the services, as a plain process: Caddy with the same file as in a container."""

from collections.abc import Mapping
from pathlib import Path

from funcledger_compose.native.build import RECIPES, door_binary
from funcledger_compose.native.process import NativeProcess

#: What it is told, wherever it runs.
CADDYFILE = RECIPES.parent / "Caddyfile"


def door(folder: Path, port: int, environment: Mapping[str, str]) -> NativeProcess:
    """A door on a port of the loopback interface; not started yet. ``environment`` names the services."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {**environment, "PORT": str(port), "BIND": "127.0.0.1", "HOME": str(folder)}
    command = [str(door_binary()), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    return NativeProcess(command, port, folder / "door.log", told)
