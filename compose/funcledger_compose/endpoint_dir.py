"""An endpoint's directory on its machine: commented settings, the credential, the log, the running agent."""

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from funcledger.private_files import keep_directory_private, read_private
from funcledger_compose.files import for_its_owner, write_private
from funcledger_compose.settings import MOST_WORKERS
from funcledger_endpoint.local.directories import Keep
from funcledger_schemas import local_socket

#: What a server takes for a name, and what earlier versions took here.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9._-])?\Z")

_TEMPLATE = """\
# An endpoint of funcledger. Change what you like, then: funcledger endpoint restart {name}

# Who this endpoint is; the credential that proves it is in the file beside this one.
endpoint_id = "{endpoint_id}"

# Where its server is: an address, or "local" for the one that keeps its data on this machine in the directory
# above this one. HTTPS_PROXY is honoured.
url = "{url}"

# What runs the tasks: "local" is one process for each worker on this machine.
engine = "local"

# How many tasks run at the same time; 0: one for each core.
workers = {workers}

# Seconds that running tasks may take to finish when the endpoint is stopped; then they are cut off
# and run again when it is back.
drain = 30.0

# What each worker may take, together with all that its tasks start (0: no limit; see docs/limits.md):
# memory, such as "4GB"; processes and threads; seconds that one call may run.
memory = 0
processes = 4096
walltime = 0

# Variables of the agent's environment that tasks see, beside those that cannot hold a secret (docs/limits.md
# lists them): such as ["MY_LAB_DATA"].
environment = []

# Each task begins in an empty directory, which is removed with all it has left there when it ends. Those of
# tasks that fail ("on-failure"), or of all ("always"), are kept in tasks/kept beside this file, until you
# remove them.
keep_task_directories = "never"

# debug, info, warning or error.
log_level = "info"
"""

_DIRECT = """
# It reads its partition of the log itself, without the gateway. FUNCLEDGER_KAFKA_BOOTSTRAP and its kin say
# where the log is (docs/production.md). Remove this table to go through the gateway again.
[direct]
name = "{name}"
owner = "{owner}"
partition = {partition}
"""


#: What ``url`` says for the server of the data directory that the endpoint's directory is in.
LOCAL = "local"


class EndpointDirError(Exception):
    """Raised when an endpoint's directory cannot be used; the message says what to do."""


class Direct(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What an endpoint has to know of itself that goes straight to the log."""

    name: str
    owner: str
    partition: int


class EndpointSettings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What ``config.toml`` of an endpoint says."""

    endpoint_id: str
    url: str
    engine: str = "local"
    #: How many tasks run at the same time; 0 is one for each core.
    workers: Annotated[int, msgspec.Meta(ge=0, le=MOST_WORKERS)] = 1
    drain: float = 30.0
    #: What each worker may take: bytes or a size, processes and threads, seconds of a call; 0 is no limit.
    memory: int | str = 0
    processes: int = 4096
    walltime: float = 0.0
    #: Names of variables that workers get of the agent's environment, beside the harmless ones.
    environment: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    #: Of which tasks the directories are kept.
    keep_task_directories: Keep = "never"
    log_level: str = "info"
    direct: Direct | None = None


class EndpointDir:
    """One endpoint's directory; ``name`` is its name on this machine.

    Raises:
        EndpointDirError: the name is not fit for a directory.
    """

    def __init__(self, root: Path, name: str) -> None:
        if not _NAME.match(name):
            raise EndpointDirError(
                f"{name!r} is not a name for an endpoint: use up to 100 letters, digits, spaces, dots, "
                "dashes and underscores, beginning and ending with a letter or digit."
            )
        self.name = name
        self.path = root / name
        self.config = self.path / "config.toml"
        self.log_file = self.path / "endpoint.log"
        #: Where workers make the directories of their calls.
        self.tasks = self.path / "tasks"
        self._credential = self.path / "credential"
        self._promise = self.path / "registering"
        self._lock = self.path / "agent.lock"
        self._contact = self.path / "contact.json"
        self._server_socket = root.parent / local_socket.NAME

    @classmethod
    def all(cls, root: Path) -> list["EndpointDir"]:
        """Every endpoint configured below ``root``, by name."""
        found = sorted(root.glob("*/config.toml")) if root.is_dir() else []
        return [cls(root, file.parent.name) for file in found]

    @property
    def configured(self) -> bool:
        """Whether there is anything to start."""
        return self.config.exists()

    def server_at(self, url: str) -> tuple[str, Path | None]:
        """For ``url`` of the settings: the address, and for ``LOCAL`` the socket that alone leads there."""
        return ("http://localhost", self._server_socket) if url == LOCAL else (url, None)

    def promise(self, endpoint_id: str, credential: str) -> tuple[str, str]:
        """Id and credential to register it with: those kept from an attempt that was cut off, else these.

        Registered with them again, it is the same endpoint; with new ones its name would be taken.
        """
        if not self._promise.exists():
            self._make()
            write_private(self._promise, f"{endpoint_id} {credential}\n")
        kept_id, kept_credential = read_private(self._promise).split()
        return kept_id, kept_credential

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)

    def configure(
        self, endpoint_id: str, url: str, credential: str, workers: int, direct: Direct | None = None
    ) -> None:
        """Write settings and credential; ``direct`` for an endpoint that goes straight to the log."""
        self._make()
        write_private(self._credential, credential + "\n")
        text = _TEMPLATE.format(
            name=shlex.quote(self.name), endpoint_id=endpoint_id, url=url, workers=workers
        )
        if direct is not None:
            text += _DIRECT.format(name=direct.name, owner=direct.owner, partition=direct.partition)
        write_private(self.config, text)
        self._promise.unlink(missing_ok=True)

    def change(self, **values: str | int) -> None:
        """Change single settings, and leave what else the file says as its owner wrote it."""
        text = self.config.read_text()
        for name, value in values.items():
            written = f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
            text = re.sub(rf"^{name}\s*=.*$", written.replace("\\", r"\\"), text, flags=re.MULTILINE)
        write_private(self.config, text)

    def settings(self) -> EndpointSettings:
        """What the settings file says.

        Raises:
            EndpointDirError: not configured, or a setting that cannot be used.
        """
        if not self.configured:
            raise EndpointDirError(
                f"there is no endpoint {self.name!r} here ({self.config} is missing). "
                f"Configure it: funcledger endpoint configure {shlex.quote(self.name)}"
            )
        try:
            return msgspec.convert(tomllib.loads(self.config.read_text()), EndpointSettings)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, OSError) as error:
            raise EndpointDirError(f"{self.config} cannot be used: {error}") from error

    def credential(self) -> str:
        """The credential, from its private file.

        Raises:
            EndpointDirError: it cannot be read.
            PermissionDenied: others may read it, and that cannot be changed.
        """
        try:
            keep_directory_private(self.path)
            return read_private(self._credential)
        except OSError as error:
            raise EndpointDirError(
                f"the credential of {self.name!r} cannot be read: {error}. "
                f"Configure the endpoint again: funcledger endpoint configure {shlex.quote(self.name)}"
            ) from error

    def remove(self) -> None:
        """Forget the endpoint on this machine."""
        shutil.rmtree(self.path)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the endpoint's lock while its agent runs, with the process id in it.

        Raises:
            EndpointDirError: an agent of this directory runs already.
        """
        with open(self._lock, "a+", opener=for_its_owner) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EndpointDirError(
                    f"endpoint {self.name!r} is already running here (process {self.pid() or 'unknown'}). "
                    f"Stop it first: funcledger endpoint stop {shlex.quote(self.name)}"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def open_log(self) -> BinaryIO:
        """The agent's log, to be written at its end; only its owner may read it."""
        return open(self.log_file, "ab", opener=for_its_owner)

    def pid(self) -> int | None:
        """The process id of the running agent, None when none runs."""
        try:
            with self._lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    text = file.read()
                    return int(text) if text.isdigit() else None
        except FileNotFoundError:
            pass
        return None

    def tell_contact(self, why_not: str | None) -> None:
        """As the running agent: say that it has reached the server, or why it has not yet."""
        with suppress(FileNotFoundError):
            write_private(self._contact, json.dumps({"process": os.getpid(), "why_not": why_not}))

    def contact(self, process: int) -> tuple[bool, str]:
        """Whether the agent with this process id has reached the server; if not, why, once it has tried."""
        try:
            said = json.loads(self._contact.read_text())
        except (FileNotFoundError, ValueError):
            return False, ""
        if said["process"] != process:
            return False, ""
        return said["why_not"] is None, said["why_not"] or ""

    def show_life(self) -> None:
        """As the running agent: say that it is alive."""
        with suppress(FileNotFoundError):  # the directory has been deleted
            os.utime(self._lock)

    def last_life(self) -> int:
        """When the agent last did, in ns of the file system's time; 0 when there is nothing to tell by."""
        try:
            return self._lock.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def stop(self, patience: float) -> bool:
        """Ask the agent to drain and wait until it is gone, at most ``patience`` seconds; whether it is."""
        deadline = time.monotonic() + patience
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGTERM)
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True
