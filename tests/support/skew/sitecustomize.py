"""Found on PYTHONPATH, sets a process's wall clock ahead by the seconds that ``ahead=`` there says."""

import os
import time

_paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
_ahead = sum(float(path.removeprefix("ahead=")) for path in _paths if path.startswith("ahead="))
_time, _time_ns = time.time, time.time_ns

time.time = lambda: _time() + _ahead
time.time_ns = lambda: _time_ns() + round(_ahead * 1e9)
