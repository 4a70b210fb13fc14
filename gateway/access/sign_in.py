"""One-time codes that open the console: each is exchanged once for a token that waits for it in the data directory.

Only the digest of a code is stored, and with it the token. So no process needs the signing key to answer, all gateways
of this machine see the same codes, and to take one is to remove a file, which only one of them can do.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from gateway.access.auth import TOKEN_SCOPES
from gateway.access.local_key import LocalKey, write_secret

CODE_LIFETIME = timedelta(hours=1)
SESSION_LIFETIME = timedelta(hours=12)


class SignInCodes:
    """The codes of a data directory."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "sign-in"

    def make(self, key: LocalKey) -> str:
        """A code for a token with all scopes. Raises `LocalKeyError` when it cannot be stored."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._forget_old()
        code = secrets.token_urlsafe(24)
        write_secret(self._place(code), key.mint("operator", TOKEN_SCOPES, SESSION_LIFETIME).encode())
        return code

    def redeem(self, code: str) -> str | None:
        """The token of a code, the first time that somebody asks; None afterwards, or when it is too old."""
        place = self._place(code)
        try:
            age_s, token = time.time() - place.stat().st_mtime, place.read_text()
            # Of two who come at once, one fails here.
            place.unlink()
        except FileNotFoundError:
            return None
        return token if age_s < CODE_LIFETIME.total_seconds() else None

    def _place(self, code: str) -> Path:
        return self._folder / hashlib.sha256(code.encode(errors="replace")).hexdigest()

    def _forget_old(self) -> None:
        for place in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > CODE_LIFETIME.total_seconds():
                    place.unlink()


def console_link(url: str, code: str) -> str:
    """Where a browser opens the console and signs in. What stands behind `#` is never sent to a server."""
    return f"{url}/console#sign-in={code}"
