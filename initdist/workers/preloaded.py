"""What is imported once, in the process from which the training processes are forked: see `launching.warm`.

What an import makes stays. So Python's garbage collector rests meanwhile, and never looks at it again. That process
ends at once when its command does: PyTorch takes half a second to be taken apart.
"""

from __future__ import annotations

import atexit
import gc
import os
from importlib import import_module

gc.disable()
try:
    import_module("initdist.workers.worker")
    import_module("torch._dynamo")  # PyTorch's first derivative imports it
    gc.freeze()
finally:
    gc.enable()
atexit.register(os._exit, 0)
