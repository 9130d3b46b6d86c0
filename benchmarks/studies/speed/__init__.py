"""Speed: a training step of ours against the peers' and against the bare work."""

import os

# Read when torch is imported: otherwise its profiler says whenever it starts and stops.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")
