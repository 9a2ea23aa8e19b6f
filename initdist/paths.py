"""Where the configuration files and the default tracking store are."""

import os
from pathlib import Path

DEFAULT_STORE = "mlflow.db"


def conf_dir() -> str:
    """Absolute path of the Hydra config directory: inside the wheel, or at the top level of a checkout."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "config.yaml").is_file():
            return str(candidate)
    raise FileNotFoundError(f"no conf/config.yaml beside or inside {package}: reinstall initdist")


def measure_catalogue() -> Path:
    """JSON file of what is known about each measure: what the analysis reads in place of the registry."""
    return Path(__file__).resolve().parent / "measures" / "catalogue.json"


def store_uri(asked_for: str | None = None, directory: str | Path = ".") -> str:
    """The tracking store: what is asked for, else MLFLOW_TRACKING_URI, else the SQLite store in a directory."""
    return asked_for or os.environ.get("MLFLOW_TRACKING_URI", "").strip() or default_tracking_uri(directory)


def default_tracking_uri(directory: str | Path) -> str:
    """SQLite store in a directory, as an absolute URI: `sqlite:////abs/path/mlflow.db`."""
    return f"sqlite:///{Path(directory).resolve() / DEFAULT_STORE}"
