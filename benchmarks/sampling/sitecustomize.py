"""A sampling profiler that `hotspots.py` puts on the path of the product's processes. Python imports it by its name.

SIGUSR1 starts it, SIGUSR1 again writes what it saw and stops it. It looks at the stack of the main thread each time
the process has used another four milliseconds of CPU, so waiting costs nothing and shows nowhere.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL = 0.004
DEEPEST = 60
stacks: Counter[tuple[str, ...]] = Counter()
running = False


def look(_: int, frame: FrameType | None) -> None:
    stack = []
    while frame is not None and len(stack) < DEEPEST:
        code = frame.f_code
        stack.append(f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}")
        frame = frame.f_back
    stacks[tuple(stack)] += 1


def toggle(*_: object) -> None:
    global running
    running = not running
    signal.setitimer(signal.ITIMER_PROF, INTERVAL if running else 0, INTERVAL if running else 0)
    if not running:
        path = Path(os.environ["BENCH_SAMPLES"]) / f"{os.getpid()}.json"
        path.with_suffix(".new").write_text(json.dumps([[list(stack), n] for stack, n in stacks.items()]))
        path.with_suffix(".new").rename(path)
        stacks.clear()


if "BENCH_SAMPLES" in os.environ:
    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, toggle)
