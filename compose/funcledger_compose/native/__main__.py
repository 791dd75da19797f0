"""``make up-distributed``: the compose file's services on this machine, with an endpoint, until Ctrl-C."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx2

from funcledger_compose.cli.endpoint import spawn
from funcledger_compose.data_dir import DataDir, DataDirError
from funcledger_compose.endpoint_dir import EndpointDir, EndpointDirError
from funcledger_compose.local_endpoint import NAME, EndpointTaken, enlist
from funcledger_compose.main import fail
from funcledger_compose.native.alone import Running, alone
from funcledger_compose.native.build import PartMissing, cache
from funcledger_compose.native.composed import ComposeError
from funcledger_compose.native.stack import Stack
from funcledger_web.tokens import digest

#: The address it is reached by; 0 in FUNCLEDGER_PORT picks a free one.
_PORT = 8642


def main() -> None:
    """Start, say how to reach it, wait, stop."""
    data = DataDir(Path(os.environ.get("FUNCLEDGER_DATA_DIR") or cache().parent / "distributed"))
    try:
        data.open()
        with alone(data.path):
            _run(data)
    except (PartMissing, ComposeError, DataDirError, EndpointDirError, Running, RuntimeError) as error:
        fail(str(error))


def _run(data: DataDir) -> None:
    told = os.environ | {"FUNCLEDGER_TOKENS": f"{NAME}={digest(data.token())}"}
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stack = Stack(data.path, told, port=int(os.environ.get("FUNCLEDGER_PORT") or _PORT))
    where = EndpointDir(data.endpoints, NAME)
    try:
        _say("Starting Kafka, a MongoDB-compatible server and the services; the first time builds them ...")
        stack.start()
        started = _start_endpoint(where, data, stack.url)
        _say_ready(data, stack)
        stopping.wait()
        _say("Stopping.")
        _stop_endpoint(where, started)
    finally:
        stack.stop()


def _start_endpoint(where: EndpointDir, data: DataDir, url: str) -> "subprocess.Popen[bytes] | None":
    """An agent on this machine that comes through the gateways; one that outlived a killed run goes on."""
    try:
        asyncio.run(enlist(where, url, data.token()))
    except EndpointTaken as error:
        _say(f"No endpoint is started: {error}, then start this again.")
        return None
    except httpx2.HTTPError as error:
        raise RuntimeError(f"the endpoint could not be registered: {error}. Start this again") from error
    return spawn(where) if where.pid() is None else None


def _stop_endpoint(where: EndpointDir, started: "subprocess.Popen[bytes] | None") -> None:
    if started is not None:
        started.terminate()  # perhaps too young to hold the lock that says which process it is
        started.wait(60)
    elif where.configured:
        where.stop(60)


def _say_ready(data: DataDir, stack: Stack) -> None:
    _say(f"funcledger is ready at {stack.url}, every service twice. Each alone:")
    for name in ("command-api", "query-api", "gateway", "projectors", "kafka", "mongo"):
        _say(f"  {name:12} {' '.join(stack.addresses(name))}")
    _say(f"Logs and data: {data.path}. In another terminal:\n")
    # By its address, and so with the token: several processes are behind it, and no socket of one server.
    _say(f"  export FUNCLEDGER_URL={stack.url} FUNCLEDGER_TOKEN=$(cat {data.path / 'token'})")
    _say(f"  {sys.executable} examples/tour.py\n")
    _say("Ctrl-C stops it; everything is kept.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
