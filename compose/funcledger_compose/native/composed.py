"""What a compose file says, for those who start its services without a container engine."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

#: The weight of a service that says nothing of it.
ORDINARY_SHARES = 1024
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<text>[^}]*))?\}")


class ComposeError(Exception):
    """Raised when a compose file cannot be followed; the message says why."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service: what it runs, in which environment, how often, and after which others."""

    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    replicas: int
    #: Of the image that is built from this repository, not fetched.
    ours: bool
    #: The services before it, and what of each it waits for.
    needs: Mapping[str, str] = field(default_factory=dict)
    #: Its weight where processors are short; 1024 is everybody's.
    cpu_shares: int = ORDINARY_SHARES


def services(files: Sequence[Path], environ: Mapping[str, str]) -> dict[str, Service]:
    """The services of these files, later ones over earlier ones, in an order in which they can start.

    Raises:
        ComposeError: a variable is missing, or services wait for each other.
    """
    merged: dict[str, Any] = {}
    for file in files:
        merged = _over(merged, yaml.safe_load(file.read_text()))
    bodies = {name: _filled(body, environ) for name, body in merged["services"].items()}
    built = {body.get("image") for body in bodies.values() if "build" in body}
    found = {name: _service(name, body, built) for name, body in bodies.items()}
    return {name: found[name] for name in _ordered(found)}


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _over(below.get(name), value) for name, value in above.items()}
    return above


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    """The value with its variables filled in from the environment."""
    if isinstance(value, dict):
        return {name: _filled(each, environ) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, environ) for each in value]
    return _VARIABLE.sub(lambda match: _variable(match, environ), value) if isinstance(value, str) else value


def _variable(match: "re.Match[str]", environ: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    value = environ.get(match["name"], "")
    if not value and match["how"] == ":?":
        raise ComposeError(f"{match['name']} is not set: {match['text']}")
    return value or (match["text"] or "" if match["how"] == ":-" else "")


def _service(name: str, body: Mapping[str, Any], built: Container[str]) -> Service:
    needs = body.get("depends_on") or {}
    if isinstance(needs, list):
        needs = {each: {"condition": "service_started"} for each in needs}
    return Service(
        name=name,
        image=str(body.get("image", "")),
        command=[str(word) for word in body.get("command") or ()],
        environment={key: str(value) for key, value in (body.get("environment") or {}).items()},
        replicas=int((body.get("deploy") or {}).get("replicas", 1)),
        ours=body.get("image") in built,
        needs={each: how["condition"] for each, how in needs.items()},
        cpu_shares=int(body.get("cpu_shares") or 0) or ORDINARY_SHARES,
    )


def _ordered(found: Mapping[str, Service]) -> Iterator[str]:
    """Each name after those it needs."""
    done: set[str] = set()
    while len(done) < len(found):
        ready = [name for name in found if name not in done and found[name].needs.keys() <= done]
        if not ready:
            raise ComposeError(f"these services wait for each other: {sorted(found.keys() - done)}")
        yield from ready
        done.update(ready)
