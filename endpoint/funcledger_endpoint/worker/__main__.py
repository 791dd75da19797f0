"""Runs a worker: ``python -m funcledger_endpoint.worker`` with its four descriptors, and its limits.

These are bytes of memory, and processes and threads of this user on the machine; 0 is no limit.
"""

import os
import sys

from funcledger_endpoint.local.cell import Cell
from funcledger_endpoint.local.limits import Limits
from funcledger_endpoint.worker.guard import die_with
from funcledger_endpoint.worker.limits import WorkerLimits, expendable
from funcledger_endpoint.worker.loop import Loop
from funcledger_endpoint.worker.output import mark_output


def main() -> None:
    """Serve calls until the agent closes the pipe, or is gone."""
    jobs, reports, cell, life, memory, tasks_of_user = (int(argument) for argument in sys.argv[1:7])
    for descriptor in (jobs, reports, cell, life):
        # What a task starts must not hold the agent's pipes.
        os.set_inheritable(descriptor, False)
    die_with(life)
    expendable()
    limits = WorkerLimits(Limits(memory=memory or None), tasks_of_user)
    numbers = Cell(cell)
    mark_output(lambda: numbers.begun)
    sys.argv[1:] = []
    Loop(jobs, reports, cell, limits).run()


if __name__ == "__main__":
    main()
