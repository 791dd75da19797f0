"""An endpoint's agent as its operator runs it: a process of its own, to be stopped, frozen and killed."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.deadlines import scaled
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, funcledger

from funcledger_compose.endpoint_dir import EndpointDir


class Lab:
    """An endpoint registered at this server, of which any number of agents can be started."""

    def __init__(self, server: Standalone, name: str) -> None:
        self._server, self.name = server, name
        with server.client() as client:
            self._made = client.register_endpoint(name)

    @contextmanager
    def agent(
        self, folder: Path, *, workers: int = 1, drain: float = 30.0, more: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[Any]"]:
        """An agent with a directory of its own, once it runs; killed at the end if it is still there."""
        where = EndpointDir(folder / "endpoints", self.name)
        where.configure(self._made["endpoint_id"], self._server.url, self._made["credential"], workers)
        where.config.write_text(re.sub(r"(?m)^drain = .*$", f"drain = {drain}", where.config.read_text()))
        environment = self._server.environment | {"FUNCLEDGER_DATA_DIR": str(folder)} | dict(more or {})
        with (folder / "agent.out").open("ab") as output:
            process = subprocess.Popen(
                funcledger("endpoint", "run", self.name), env=environment, stdout=output, stderr=output
            )
        try:
            until_sync(lambda: where.pid() == process.pid or process.poll() is not None, 30)
            yield process
        finally:
            process.kill()
            process.wait(scaled(10))
