"""Open the MLflow UI on exactly the store that training writes to: `python -m initdist.ui`."""

from __future__ import annotations

import argparse
import os
import sys

from initdist.paths import store_uri


def main() -> None:
    """Replace this process by the MLflow server, bound to this machine alone."""
    parser = argparse.ArgumentParser(prog="initdist.ui", description="Open the MLflow UI on the tracking store.")
    parser.add_argument("--uri", default=store_uri(), help="the store (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1 (default: %(default)s)")
    options = parser.parse_args()
    path = options.uri.removeprefix("sqlite:///")
    if path != options.uri and not os.path.exists(path):
        sys.exit(f"initdist: the tracking store must exist, got {options.uri}: train something first")
    print(f"MLflow UI of {options.uri} at http://127.0.0.1:{options.port}", flush=True)
    # One person's: with four workers and a runner of jobs for language models it takes three times as long to start.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    server = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--backend-store-uri", options.uri]
    os.execv(sys.executable, [*server, "--host", "127.0.0.1", "--port", str(options.port)])


if __name__ == "__main__":
    main()
