"""``python -m funcledger_compose.projecting``: started by a server, ended with it."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from funcledger_compose.projecting.child import run
from funcledger_compose.same_user import keep_from_same_user
from funcledger_compose.serving import configure


def main() -> None:
    """Follow until the server closes our standard input, whatever signals it gets along with the server."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="python -m funcledger_compose.projecting", description=__doc__)
    parser.add_argument("log", type=Path, help="the directory of the server's log")
    parser.add_argument("read_models", type=Path, help="the file of read models")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="text")
    asked = parser.parse_args()
    # Messages go where the standard output was; what anybody prints goes where errors do.
    messages = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    configure(asked.log_level, asked.log_format)
    keep_from_same_user()
    raise SystemExit(asyncio.run(run(asked.log, asked.read_models, messages)))


if __name__ == "__main__":
    main()
