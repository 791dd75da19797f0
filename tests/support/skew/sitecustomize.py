"""Found on PYTHONPATH, sets a process's wall clock ahead by ``TEST_CLOCK_AHEAD`` seconds."""

import os
import time

_ahead = float(os.environ.get("TEST_CLOCK_AHEAD", "0"))
_time, _time_ns = time.time, time.time_ns

time.time = lambda: _time() + _ahead
time.time_ns = lambda: _time_ns() + round(_ahead * 1e9)
