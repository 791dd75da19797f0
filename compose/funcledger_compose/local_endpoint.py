"""The standalone server's own endpoint: registered on first use, and kept running beside the server."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

import httpx2

from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.endpoint_dir import LOCAL, EndpointDir, EndpointDirError, EndpointSettings
from funcledger_compose.settings import SECRETS
from funcledger_event_log import plain
from funcledger_schemas.ids import new_id
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, new_token

_log = logging.getLogger(__name__)

NAME = "local"
#: Seconds between starts of an agent that keeps ending by itself: at first, and at most. One that has lived
#: for so many seconds ends for another reason than the one before.
_PAUSE, _LONGEST_PAUSE, _LIVES = 1.0, 60.0, 30.0
#: Seconds between looks for a sign of life of the agent, and looks without one after which it is ended. Looks
#: are counted, and not seconds: where this process could not run either, nothing is known of the agent.
_LOOK, _SILENT_LOOKS = 1.0, 15


class EndpointTaken(DataDirError):
    """Raised when another endpoint has the name; the message says what to do."""


class LocalEndpoint:
    """Starts the agent as a process of its own, which comes through the gateway like any other.

    An agent that outlived a killed server is left to its work: it holds the endpoint's lock, finds the new
    server at the same socket, and a second one is started only when it has gone.
    """

    def __init__(self, data: DataDir, workers: int) -> None:
        """``workers`` 0 leaves what is configured, or takes one for each core."""
        self._data = data
        self._asked_workers = workers
        self._where = EndpointDir(data.endpoints, NAME)
        self._keeping: asyncio.Future[Any] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Register on first use, then keep an agent running."""
        await enlist(self._where, LOCAL, self._data.token(), self._asked_workers)
        self._keeping = asyncio.gather(self._keep(), self._watch())

    @property
    def settings(self) -> EndpointSettings:
        """What the endpoint's own settings file says."""
        return self._where.settings()

    async def _keep(self) -> None:
        loop, pause = asyncio.get_running_loop(), _PAUSE
        while True:
            if self._where.pid() is None:
                began = loop.time()
                code = await self._run_agent()
                _log.warning("the local endpoint's agent ended with %s; see %s", code, self._where.log_file)
                by_itself = code > 0 and loop.time() - began < _LIVES
                pause = min(2 * pause, _LONGEST_PAUSE) if by_itself else _PAUSE
            await asyncio.sleep(pause)

    async def _watch(self) -> None:
        """End an agent that shows no sign of life, as when a task has stopped it; the next one has its epoch.

        An older version's, which outlived its server, shows none at all and is let be.
        """
        pid: int | None = None
        sign, silent, shown = 0, 0, False
        while True:
            await asyncio.sleep(_LOOK)
            before, pid, last, sign = pid, self._where.pid(), sign, self._where.last_life()
            if pid is None or pid != before:
                silent, shown = 0, self._process is not None and pid == self._process.pid
                continue
            silent = silent + 1 if sign == last else 0
            shown = shown or not silent
            if shown and silent >= _SILENT_LOOKS:
                _log.error("the local endpoint's agent (process %d) is stuck; it is ended", pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                silent = 0

    async def _run_agent(self) -> int:
        command = ["-m", "funcledger_compose", "endpoint", "run", NAME, "--attached"]
        with self._where.open_log() as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                env=self._environment(), start_new_session=True,
            )  # fmt: skip
        self._process = process
        return await process.wait()

    def _environment(self) -> dict[str, str]:
        """The server's, without what is secret in it: an agent needs none of that."""
        kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
        return kept | {"FUNCLEDGER_DATA_DIR": str(self._data.path)}

    async def stop(self) -> None:
        """Let the agent drain, and wait until it has."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        patience = self._where.settings().drain + 15
        if self._process is not None and self._process.returncode is None:
            # Perhaps too young to hold the lock that says which process it is.
            self._process.terminate()
            stopped = await _ended(self._process, patience)
        else:
            stopped = await asyncio.to_thread(self._where.stop, patience)
        if not stopped:
            _log.error("the local endpoint's agent (process %s) does not stop", self._where.pid())

    def kill(self) -> None:
        """End an agent that is still there at once; what it ran runs again when the server is back."""
        if self._keeping is not None:
            self._keeping.cancel()
            if (pid := self._where.pid()) is not None:
                os.kill(pid, signal.SIGKILL)


def move_to_socket(data: DataDir, url: str) -> None:
    """Have endpoints that know this server by its port, as older versions had it, use its socket."""
    for where in EndpointDir.all(data.endpoints):
        with contextlib.suppress(EndpointDirError):  # whoever starts it is told what is wrong with it
            if where.settings().url.rstrip("/") in (url, data.announced()):
                where.change(url=LOCAL)


async def enlist(where: EndpointDir, url: str, token: str, workers: int = 0) -> None:
    """Have the endpoint registered at this address, and its directory say so; cut off, do it again.

    ``url`` may be ``LOCAL``.

    Raises:
        EndpointTaken: its name is registered, and nothing here says with which credential.
    """
    if where.configured:
        asked = {"workers": workers} if workers else {}
        where.change(url=url, **asked)
        return
    endpoint_id, credential = where.promise(new_id(), new_token(ENDPOINT_PREFIX))
    await _register(where, endpoint_id, credential, url, token)
    where.configure(endpoint_id, url, credential, workers or os.cpu_count() or 1)


async def _register(where: EndpointDir, endpoint_id: str, credential: str, url: str, token: str) -> None:
    body = {
        "endpoint_id": endpoint_id,
        "name": where.name,
        "description": "The endpoint beside the server.",
        "credential_sha256": digest(credential),
    }
    headers = {"Authorization": f"Bearer {token}"}
    address, path = where.server_at(url)
    way = plain.way_to(address, path)
    async with httpx2.AsyncClient(base_url=address, transport=way, trust_env=False) as client:
        answer = await client.post("/v1/endpoints", json=body, headers=headers)
    if answer.status_code == httpx2.codes.CONFLICT:
        # Somebody deleted the endpoint's directory; its name stays taken, its credential is gone.
        raise EndpointTaken(
            f"the endpoint {where.name!r} is registered but its directory is gone. Delete it first: "
            f"funcledger endpoint delete {where.name}"
        )
    answer.raise_for_status()


async def _ended(process: asyncio.subprocess.Process, patience: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        return False
    return True
