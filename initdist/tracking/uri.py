"""The URI of a store as it is given: whether it will be read as it is meant."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from initdist.errors import ConfigError
from initdist.secrets import unmasked
from initdist.tracking.records import TrackingError


def checked(uri: str) -> str:
    """The whole URI of a store. Raises TrackingError for one that would be read otherwise than it is meant."""
    try:
        uri = unmasked(uri)
    except ConfigError as error:
        raise TrackingError(str(error)) from None
    if uri.startswith("sqlite"):
        _check_options(uri)
    elif uri.startswith("http") and re.search("[/?#]", uri.partition("://")[2].rpartition("@")[0]):
        raise TrackingError(
            "tracking.uri must have /, ? and # in a password written as %2F, %3F and %23, and an @ after the host as "
            f"%40, got {uri}"
        )
    return uri


def wait_of(uri: str, seconds: float) -> float:
    """How long to wait while another writes to a SQLite store: so long, or longer if its option timeout says so."""
    return max(seconds, float(_options(uri).get("timeout", 0)))


def _options(uri: str) -> dict[str, str]:
    return dict(parse_qsl(uri.partition("?")[2], keep_blank_values=True))


def _check_options(uri: str) -> None:
    wrong = [one for one in uri.partition("?")[2].split("&") if one and "=" not in one]
    if wrong:
        raise TrackingError(
            f"tracking.uri must have options after a ?, such as timeout=60, got {wrong[0]!r} in "
            f"{uri}; name a folder without ? for the store"
        )
    options = _options(uri)
    if "uri" in options:
        raise TrackingError(f"tracking.uri must name a file by its path, without the option uri, got {uri}")
    if not re.fullmatch(r"\d+(\.\d+)?", seconds := options.get("timeout", "0")):
        raise TrackingError(f"tracking.uri must have a number of seconds as timeout, got {seconds!r} in {uri}")
