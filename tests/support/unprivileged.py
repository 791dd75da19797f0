"""``funcledger`` without the privileges that tests may have as root, and that lead into every process.

``python -m tests.support.unprivileged up ...`` is ``funcledger up ...`` of a user who is nobody special.
"""

import ctypes
import os
import sys

_PR_CAPBSET_DROP = 24
_CAPABILITIES = 64

if __name__ == "__main__":
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        dropped = [prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) for number in range(_CAPABILITIES)]
        if dropped[0] != 0:  # those that this kernel does not know fail
            raise SystemExit(f"privileges cannot be dropped: {os.strerror(ctypes.get_errno())}")
    os.execv(sys.executable, [sys.executable, "-m", "funcledger_compose", *sys.argv[1:]])
