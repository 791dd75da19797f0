"""Makes a worker, and all that its tasks have started, end with the agent, however that one ends."""

import fcntl
import os
import signal
import sys


def die_with(life: int) -> None:
    """Have the kernel signal this process group when the other end of the pipe ``life`` closes.

    Nothing is ever written there, so the one thing that can happen to it is that the agent is gone. A
    signal does it where a thread could not: in an endless loop that never lets go of the interpreter.
    """
    if sys.platform == "darwin":
        # There SIGIO is ignored unless somebody handles it; on Linux its default is to end the process.
        signal.signal(signal.SIGIO, lambda *_: os.killpg(0, signal.SIGKILL))
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
