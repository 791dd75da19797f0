"""Runs a worker: ``python -m funcledger_endpoint.worker`` with its four descriptors, limits and directory.

The limits are bytes of memory, and processes and threads of this user on the machine; 0 is no limit. In the
directory it makes those of its calls; a word after it says of which calls it keeps them.
"""

import os
import sys
from pathlib import Path
from typing import get_args

from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.local.directories import Keep
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.worker.descriptors import own
from funcledger_endpoint.worker.guard import die_with
from funcledger_endpoint.worker.limits import WorkerLimits, expendable
from funcledger_endpoint.worker.loop import Loop
from funcledger_endpoint.worker.output import mark_output
from funcledger_endpoint.worker.task_directory import TaskDirectory


def main() -> None:
    """Serve calls until the agent closes the pipe, or is gone."""
    jobs, reports, cell, life, memory, tasks_of_user = (int(argument) for argument in sys.argv[1:7])
    # What a task starts must not hold the agent's pipes.
    os.set_inheritable(cell, False)
    jobs, reports, life = own(jobs), own(reports), own(life)
    die_with(life)
    expendable()
    limits = WorkerLimits(Limits(memory=memory or None), tasks_of_user)
    numbers = Cell(cell)
    mark_output(lambda: numbers.begun)
    directory = TaskDirectory(Path(sys.argv[7]), _keep(sys.argv[8]))
    sys.argv[1:] = []
    Loop(jobs, reports, cell, limits, directory).run()


def _keep(given: str) -> Keep:
    return next(known for known in get_args(Keep) if known == given)


if __name__ == "__main__":
    main()
