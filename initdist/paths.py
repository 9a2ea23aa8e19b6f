"""Where the configuration files and the default tracking store are."""

import os
from pathlib import Path

DEFAULT_STORE = "mlflow.db"
SQLITE = "sqlite:///"


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
    return sqlite_uri(Path(directory).resolve() / DEFAULT_STORE)


def sqlite_uri(file: Path) -> str:
    """The store in a file. Where its path has a % or a ?, as this SQLAlchemy writes it: versions differ in that."""
    if {*"%?"} & {*str(file)}:
        from sqlalchemy.engine import URL

        return URL.create("sqlite", database=str(file)).render_as_string()
    return f"{SQLITE}{file}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store, where this SQLAlchemy finds it; None for any other store."""
    name = uri.removeprefix(SQLITE).partition("?")[0]
    if "%" in name:
        from sqlalchemy.engine import make_url

        name = make_url(f"{SQLITE}{name}").database or ""
    return Path(name) if uri.startswith(SQLITE) else None
