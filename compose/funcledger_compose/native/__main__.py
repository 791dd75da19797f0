"""``make up-distributed``: the compose file's services on this machine, with an endpoint, until Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from funcledger_compose.data_dir import DataDir
from funcledger_compose.main import fail
from funcledger_compose.native.build import PartMissing, cache
from funcledger_compose.native.composed import ComposeError
from funcledger_compose.native.stack import Stack
from funcledger_web.tokens import digest

#: The address it is reached by; 0 in FUNCLEDGER_PORT picks a free one.
_PORT = 8642
_NAME = "local"


def main() -> None:
    """Start, say how to reach it, wait, stop."""
    data = DataDir(Path(os.environ.get("FUNCLEDGER_DATA_DIR") or cache().parent / "distributed"))
    data.open()
    told = os.environ | {"FUNCLEDGER_TOKENS": f"{_NAME}={digest(data.token())}"}
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stack = Stack(data.path, told, port=int(os.environ.get("FUNCLEDGER_PORT") or _PORT))
    agent = None
    try:
        _say("Starting Kafka, a MongoDB-compatible server and the services; the first time builds them ...")
        stack.start()
        data.announce(stack.url)
        agent = _endpoint(data, stack.url)
        _say_ready(data, stack)
        stopping.wait()
        _say("Stopping.")
    except (PartMissing, ComposeError, RuntimeError) as error:
        fail(str(error))
    finally:
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)
        stack.stop()


def _endpoint(data: DataDir, url: str) -> "subprocess.Popen[bytes]":
    """An agent on this machine that comes through the gateways."""
    environment = os.environ | {"FUNCLEDGER_DATA_DIR": str(data.path), "FUNCLEDGER_URL": url}
    command = [sys.executable, "-m", "funcledger_compose", "endpoint"]
    if not (data.endpoints / _NAME / "config.toml").exists():
        subprocess.run(
            [*command, "configure", _NAME, "--url", url], env=environment, check=True, capture_output=True
        )
    with (data.endpoints / _NAME / "endpoint.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "run", _NAME], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def _say_ready(data: DataDir, stack: Stack) -> None:
    _say(f"funcledger is ready at {stack.url}, every service twice. Each alone:")
    for name in ("command-api", "query-api", "gateway", "projectors", "kafka", "mongo"):
        _say(f"  {name:12} {' '.join(stack.addresses(name))}")
    _say(f"Logs and data: {data.path}. In another terminal:\n")
    _say(f"  export FUNCLEDGER_DATA_DIR={data.path}")
    _say(f"  {sys.executable} examples/tour.py\n")
    _say("Ctrl-C stops it; everything is kept.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
