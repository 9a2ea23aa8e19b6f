from pathlib import Path
def write(folder, out, size):
    return out
