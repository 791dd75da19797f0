"""Keeps the data directory of a release, once: ``python -m tests.golden.record_data_dir v0.1.0``.

``data_dir.tar.gz`` is what ``funcledger up`` left when it was stopped, ``data_dir.json`` what its user knew.
Every later release must open the one and give the other.
"""

import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.support.golden import GOLDEN
from tests.support.poll import until_sync
from tests.support.standalone import Standalone, standalone

from funcledger import Client

#: Files that a server or an agent makes anew.
_PASSING = ("server.json", "log.lock", "agent.lock", "contact.json", "endpoint.log")
_SOURCE = """
def working(what):
    if what == "fail":
        raise ValueError("as it was told to")
    if what == "sleep":
        import time
        time.sleep(60)
    return what * 30_000 if what == "long" else what * 2
"""


def live(server: Standalone) -> dict[str, Any]:
    """Use a server in every way that leaves something behind; what its user knows then."""
    with server.client() as client:
        function = client.register_source_code(_SOURCE, "working", description="Does as it is told.")
        tasks = {what: client.run(what, endpoint_id="local", function_id=function) for what in _WORDS}
        client.wait([tasks[what] for what in _WORDS if what != "sleep"], timeout=30)
        until_sync(lambda: client.get_task(tasks["sleep"])["status"] == "running", 30)
        client.cancel(tasks["sleep"])
        client.wait(list(tasks.values()), timeout=30)
        batch = client.create_batch()
        for number in range(3):
            batch.add(number, endpoint_id="local", function_id=function)
        numbers = client.batch_run(batch)
        client.wait(numbers, timeout=30)
        spare = client.register_endpoint("spare")["endpoint_id"]
        every = {**tasks, **{str(number): task for number, task in enumerate(numbers)}}
        return {
            "function": function, "group": batch.task_group_id, "spare": spare, "tasks": every,
            "local": client.get_endpoint_metadata("local")["endpoint_id"],
            "histories": {task: told(client, task) for task in every.values()},
        }  # fmt: skip


_WORDS = ("short", "fail", "long", "sleep")


def told(client: Client, task: str) -> list[list[Any]]:
    """A task's history: where each event stands, and which it is."""
    history = client.get_task_history(task)
    return [[each["topic"], each["partition"], each["offset"], each["type"]] for each in history]


def _archived(folder: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.name not in _PASSING:
                archive.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)
    return made.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


if __name__ == "__main__":
    release = GOLDEN / sys.argv[1]
    if (release / "data_dir.tar.gz").exists():
        raise SystemExit(f"{release / 'data_dir.tar.gz'} is there already, and is never written again")
    release.mkdir(exist_ok=True)
    os.environ.pop("FUNCLEDGER_DATA_DIR", None)
    with tempfile.TemporaryDirectory() as scratch:
        with standalone(Path(scratch) / "data", "--workers", "1") as running:
            known = live(running)
            running.stop()
        (release / "data_dir.tar.gz").write_bytes(_archived(Path(scratch) / "data"))
    (release / "data_dir.json").write_text(json.dumps(known, indent=1) + "\n")
