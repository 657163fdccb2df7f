"""What keeps strangers out of the console's pages.

Pages run no script and load no style but the console's own files (Content-Security-Policy), nothing is fetched from
other hosts, and nobody frames them. Every form carries a token that only a page of this console can know: it is made
from a cookie that other sites neither read nor set. That is beside what `OwnPagesOnly` refuses.
"""

import hashlib
import hmac
import re
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "bloge-console"
FIELD = "token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_BYTES = 24
_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")


class Visitor:
    """A browser, as its cookie tells it from others.

    Args:
        request: what it sent.
    """

    def __init__(self, request: Request) -> None:
        known = request.cookies.get(COOKIE, "")
        self._is_new = _SECRET.fullmatch(known) is None
        self._secret = secrets.token_urlsafe(_BYTES) if self._is_new else known
        self._secure = request.url.scheme == "https"

    @property
    def token(self) -> str:
        """What its forms carry."""
        return hashlib.blake2b(b"form", key=self._secret.encode(), digest_size=16).hexdigest()

    def remember(self, response: Response) -> None:
        """Give it its cookie, for as long as the browser is open."""
        if self._is_new:
            response.set_cookie(
                COOKIE, self._secret, path="/console", httponly=True, samesite="strict", secure=self._secure
            )

    def check(self, token: str) -> None:
        """Refuse a form that is not from a page of this console.

        Raises:
            HTTPException: 403.
        """
        if self._is_new or not hmac.compare_digest(self.token.encode(), token.encode()):
            raise HTTPException(
                403, "this form is not from a page of this console, or the browser was closed; load the page again"
            )
