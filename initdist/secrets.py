"""Passwords and tokens in the URI of a tracking store: where they are shown, and how they reach who needs them.

What is printed, written to a file or a store, or given to a process as an argument has MASK in their place. The whole
URI travels in the environment alone, as MLFLOW_TRACKING_URI: `unmasked` finds it again.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from urllib.parse import quote, unquote, unquote_plus

from initdist.errors import ConfigError

MASK = "***"
VARIABLE = "MLFLOW_TRACKING_URI"

_SCHEME = r"[A-Za-z][\w+.-]*://"
# In a text: to a space or the next one, but for what closes there.
_URI = re.compile(rf"{_SCHEME}\S+?(?=[\'\"`)\]}}>,.:;]*(?:\s|$|{_SCHEME}))")
_ALONE = re.compile(rf"\A{_SCHEME}.*", re.DOTALL)
_NAMED = re.compile(r"sqlite|postgres|mysql|mariadb|mssql|oracle")  # without a password, their login is a name
_LOGIN = re.compile(rf"{_SCHEME}([^/].*)@", re.DOTALL)  # to the last @: a password may have others in it
_KEY = r"[^=&;#?]*(?:pass|pwd|secret|token|key|sig|auth|cred|odbc_connect)[^=&;#?]*"
_OPTION = re.compile(rf"[?&#]{_KEY}=([^&]*)|;{_KEY}=([^;&]*)", re.IGNORECASE)
_IN_ODBC = re.compile(r"(?:pwd|password)\s*=\s*([^;]*)", re.IGNORECASE)
_NO_PASSWORDS = ("", "x-oauth-basic", "x-token-auth")  # beside a token that stands where a user's name would


_OPENED: set[str] = set()  # URIs with secrets


def masked(text: object, *uris: str) -> str:
    """A text with MASK for the secrets of every URI in it, and wherever those of `uris` stand.

    A text that begins as a URI is one to its end. In any other a URI ends at a space, and the secrets of all stores
    that this process has opened or has in its environment are hidden too.
    """
    shown = str(text)
    if not _ALONE.match(shown):
        uris = (*uris, *_OPENED, os.environ.get(VARIABLE, ""))
    known = {secret for uri in uris for secret in secrets_in(uri)}
    for secret in sorted(known, key=len, reverse=True):
        shown = _standing_alone(secret).sub(MASK, shown)
    if _ALONE.match(shown):
        shown = _hidden(shown)
    return _URI.sub(lambda found: _hidden(found[0]), shown)


def secrets_in(text: str) -> set[str]:
    """The secrets of the URIs in a text, in every spelling that a message may have of them; none of one that is
    masked."""
    uris = [found[0] for found in (*_URI.finditer(text), *_ALONE.finditer(text))]
    found = {_secret(uri, start, end) for uri in uris for start, end in _spans(uri)}
    found |= {each for one in found for each in (*_IN_ODBC.findall(unquote_plus(one)), one.partition("#")[0])}
    plain = {read(one) for one in found for read in (str, unquote, unquote_plus)} - {"", MASK}
    return {spelled for one in plain for spelled in (one, quote(one, safe=""), repr(one)[1:-1])}


def unmasked(uri: str) -> str:
    """The URI that a masked one stands for, from the environment. Raises ConfigError where that has another."""
    if not any(_spans(uri)) or secrets_in(uri):
        _OPENED.update([uri] if secrets_in(uri) else [])
        return uri
    known = os.environ.get(VARIABLE, "").strip()
    if masked(known) == masked(uri):
        return known
    raise ConfigError(
        f"tracking.uri={uri} stands for a URI with secrets, which must be in {VARIABLE}, got "
        f"{masked(known) or 'nothing'} there; set it, also where jobs run"
    )


def passed_on(uri: str) -> str:
    """The masked URI. One with secrets goes into the environment as it is, for this process and those it starts."""
    if (shown := masked(uri)) != uri:
        os.environ[VARIABLE] = uri
    return shown


def cause(error: BaseException, *uris: str) -> BaseException | None:
    """The error as the cause of another; None where a traceback of it would show a secret."""
    text = "".join(traceback.format_exception(error))
    return error if masked(text, *uris) == text else None


def _secret(uri: str, start: int, end: int) -> str:
    """The part of a span that is secret: of a login that is hidden as a whole, its password or token."""
    name, _, password = uri[start:end].partition(":")
    if _NAMED.match(uri) or start != uri.index("://") + 3:
        return uri[start:end]
    return name if password in _NO_PASSWORDS else password


def _spans(uri: str) -> Iterator[tuple[int, int]]:
    """Where a URI has something to hide: its login, but for the name of a database's user, and options."""
    if login := _LOGIN.match(uri):
        start, end = login.span(1)
        if _NAMED.match(uri):
            start = uri.find(":", start, end) + 1 or end
        if start < end:
            yield start, end
    for option in _OPTION.finditer(uri):
        start, end = option.span(option.lastindex or 0)
        if start < end:
            yield start, end


def _hidden(uri: str) -> str:
    shown, last = "", 0
    for start, end in sorted(_spans(uri)):
        if start >= last:
            shown += uri[last:start] + MASK
        last = max(last, end)
    return shown + uri[last:]


def _standing_alone(secret: str) -> re.Pattern[str]:
    """Where it begins or ends with a letter or digit, no word goes on there: `postgres` is not in `postgresql`."""
    before = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))" if re.match(r"\w", secret) else ""
    return re.compile(before + re.escape(secret) + (r"(?!\w)" if re.match(r"\w", secret[-1]) else ""))
