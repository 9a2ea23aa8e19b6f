"""What is imported once, in the process from which the training processes are forked: see `launching.warm`.

What an import makes stays. So Python's garbage collector rests meanwhile, and does not look at it before the end.
"""

from __future__ import annotations

import atexit
import gc
from importlib import import_module

gc.disable()
try:
    import_module("initdist.workers.worker")
    import_module("torch._dynamo")  # PyTorch's first derivative imports it
    gc.freeze()
finally:
    gc.enable()
atexit.register(gc.unfreeze)  # libraries that come with PyTorch count what is left, and print it as their mistake
