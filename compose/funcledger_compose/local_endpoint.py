"""The standalone server's own endpoint: registered on first use, and kept running beside the server."""

import asyncio
import logging
import os
import signal
import sys

import httpx2

from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.endpoint_dir import EndpointDir, EndpointSettings
from funcledger_schemas.ids import new_id
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, new_token

_log = logging.getLogger(__name__)

NAME = "local"
#: Seconds between starts of an agent that keeps ending by itself: at first, and at most. One that has lived
#: for so many seconds ends for another reason than the one before.
_PAUSE, _LONGEST_PAUSE, _LIVES = 1.0, 60.0, 30.0


class EndpointTaken(DataDirError):
    """Raised when another endpoint has the name; the message says what to do."""


class LocalEndpoint:
    """Starts the agent as a process of its own, which comes through the gateway like any other.

    An agent that outlived a killed server is left to its work: it holds the endpoint's lock, finds the new
    server at the same address, and a second one is started only when it has gone.
    """

    def __init__(self, data: DataDir, url: str, workers: int) -> None:
        """``workers`` 0 leaves what is configured, or takes one for each core."""
        self._data = data
        self._url = url
        self._asked_workers = workers
        self._where = EndpointDir(data.endpoints, NAME)
        self._keeping: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Register on first use, then keep an agent running."""
        await enlist(self._where, self._url, self._data.token(), self._asked_workers)
        self._keeping = asyncio.create_task(self._keep())

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

    async def _run_agent(self) -> int:
        command = ["-m", "funcledger_compose", "endpoint", "run", NAME, "--attached"]
        with self._where.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                env=self._environment(), start_new_session=True,
            )  # fmt: skip
        self._process = process
        return await process.wait()

    def _environment(self) -> dict[str, str]:
        return os.environ | {"FUNCLEDGER_DATA_DIR": str(self._data.path)}

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


async def enlist(where: EndpointDir, url: str, token: str, workers: int = 0) -> None:
    """Have the endpoint registered at this address, and its directory say so; cut off, do it again.

    Raises:
        EndpointTaken: its name is registered, and nothing here says with which credential.
    """
    if where.configured:
        asked = {"workers": workers} if workers else {}
        where.change(url=url, **asked)
        return
    endpoint_id, credential = where.promise(new_id(), new_token(ENDPOINT_PREFIX))
    await _register(where.name, endpoint_id, credential, url, token)
    where.configure(endpoint_id, url, credential, workers or os.cpu_count() or 1)


async def _register(name: str, endpoint_id: str, credential: str, url: str, token: str) -> None:
    body = {
        "endpoint_id": endpoint_id,
        "name": name,
        "description": "The endpoint beside the server.",
        "credential_sha256": digest(credential),
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        answer = await client.post("/v1/endpoints", json=body)
    if answer.status_code == httpx2.codes.CONFLICT:
        # Somebody deleted the endpoint's directory; its name stays taken, its credential is gone.
        raise EndpointTaken(
            f"the endpoint {name!r} is registered but its directory is gone. Delete it first: "
            f"funcledger endpoint delete {name}"
        )
    answer.raise_for_status()


async def _ended(process: asyncio.subprocess.Process, patience: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        return False
    return True
