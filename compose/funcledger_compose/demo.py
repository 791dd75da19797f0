"""``make demo``: a server of its own, the tour run on it, one task's history from the log, and the end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from funcledger_compose.main import fail

_TOUR = Path(__file__).parents[2] / "examples" / "tour.py"


def run() -> None:
    """Show everything once, and leave nothing running."""
    if not _TOUR.exists():
        fail("the demo runs from a checkout of the repository, which has examples/tour.py")
    with tempfile.TemporaryDirectory(prefix="funcledger-demo-") as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FUNCLEDGER_")}
        environment |= {"FUNCLEDGER_DATA_DIR": folder, "FUNCLEDGER_LOG_LEVEL": "warning"}
        server = subprocess.Popen(
            _funcledger("up", "--port", "0"), env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            _wait_ready(server)
            subprocess.run([sys.executable, str(_TOUR)], env=environment, check=True)
            _show_history(environment)
        except subprocess.CalledProcessError as error:
            fail(f"{' '.join(map(str, error.cmd))} ended with {error.returncode}")
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)
    say("\nThe server and its endpoint have stopped. To keep one running: make up")


def say(text: str) -> None:
    """Print at once, in order with what the parts print."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _funcledger(*words: str) -> list[str]:
    return [sys.executable, "-m", "funcledger_compose", *words]


def _wait_ready(server: "subprocess.Popen[str]") -> None:
    assert server.stdout is not None
    say("Starting a server and a local endpoint in a directory of their own ...")
    for line in server.stdout:
        if line.startswith("funcledger is ready"):
            say(line.strip() + "\n")
            return
    fail("the server did not start; what it said stands above")


def _show_history(environment: dict[str, str]) -> None:
    listed = _funcledger("task", "list", "--json", "--limit", "1", "--status", "failed")
    found = subprocess.run(listed, env=environment, check=True, capture_output=True, text=True).stdout
    task_id = json.loads(found)[0]["task_id"]
    say(f"\nWhat the log says of the task that failed ({task_id}):\n")
    subprocess.run(_funcledger("task", "history", task_id), env=environment, check=True)
