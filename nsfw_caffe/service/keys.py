"""The keys of those who may ask, one of which a request carries where there is a file of them."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nsfw_caffe.service.refusals import Refused
from nsfw_caffe.service.watching import refuse
from nsfw_caffe.system.reading import read_file

_MOST_BYTES = 1 << 20


class Keys:
    """Keys, which are held as hashes: what is compared then has one length, and says nothing of a key's.

    Parameters
    ----------
    keys : list of bytes
        The keys.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._hashes = [hashlib.sha256(key).digest() for key in keys]

    @classmethod
    def of_file(cls, path: Path) -> Keys:
        """Read keys, one a line; lines that are empty or begin with # are none.

        ValueError where there is no key, or one that no header can carry; OSError where the file cannot be read.
        """
        lines = (line.strip() for line in read_file(path, _MOST_BYTES).splitlines())
        keys = [line for line in lines if line and not line.startswith(b"#")]
        if not keys:
            raise ValueError(f"{path}: there is no key in it")
        if not all(0x20 < byte < 0x7F for key in keys for byte in key):
            raise ValueError(f"{path}: a key may have ASCII characters alone, and no spaces")
        return cls(keys)

    def check(self, headers: Headers) -> None:
        """Raise Refused where a request's headers have none of the keys."""
        given = _given(headers)
        found = False
        if given is not None:
            digest = hashlib.sha256(given).digest()
            for known in self._hashes:  # all of them: how long it takes says nothing
                found |= hmac.compare_digest(digest, known)
        if not found:
            message = "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
            raise Refused("unauthorized", message, {"WWW-Authenticate": "Bearer"})


class KeyGuard:
    """The middleware that asks for a key, for all that scores.

    Parameters
    ----------
    app
        What answers.
    keys : Keys
        Those that are known.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, where the request has a key or needs none."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            try:
                self._keys.check(Headers(scope=scope))
            except Refused as refused:
                await refuse(scope, refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _given(headers: Headers) -> bytes | None:
    kind, _, credentials = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return credentials.strip().encode("latin-1")
    key = headers.get("x-api-key")
    return None if key is None else key.strip().encode("latin-1")
