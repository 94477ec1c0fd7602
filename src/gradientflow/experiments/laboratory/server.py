"""A page on this machine that takes formulas: served at an address that only who started it knows."""

import contextlib
import hmac
import http.server
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

# Pages that are kept, the latest ones, and the most that is read of a question [bytes].
_KEPT, _LARGEST = 32, 8192
# An idle connection ends after so long [s].
_PATIENCE = 10.0


class Server(http.server.ThreadingHTTPServer):
    """Serves a first page, and one for each formula typed into it, on 127.0.0.1, at a port that is free.

    Every address has a token in it; a question without it, to another host, or from another page is refused, one that
    is too large too.

    Args:
        first: the first page's text.
        make: (energy, methods) as they are typed ↦ a page's text; what it raises is told in a line.
    """

    daemon_threads = True

    def __init__(self, first: str, make: Callable[[str, str], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = secrets.token_urlsafe(24)
        self._make = make
        self._pages: OrderedDict[str, str] = OrderedDict({"": first})
        self._count = 0
        # One formula is made a page at a time.
        self._making = threading.Lock()

    @property
    def address(self) -> str:
        """Where the first page is."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def page(self, name: str) -> str | None:
        """A page's text; `None` where there is none."""
        return self._pages.get(name)

    def made(self, energy: str, methods: str) -> str:
        """The name of the page of what was typed."""
        with self._making:
            text = self._make(energy, methods)
            self._count += 1
            name = str(self._count)
            self._pages[name] = text
            if len(self._pages) > _KEPT:
                # The first page stays.
                del self._pages[list(self._pages)[1]]
        return name

    def run(self) -> None:
        """Serves until it is interrupted; what is at work is finished first."""
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever(poll_interval=0.2)
        self.server_close()
        with self._making:
            return


class _Refused(Exception):
    """A question that is not answered, and why.

    Args:
        status: HTTP's number for it.
        why: in a line.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answers a page."""
        try:
            page = self.server.page(self._name())
            if page is None:
                raise _Refused(404, "there is no such page")
        except _Refused as refused:
            return self._answer(refused.status, "text/plain", f"{refused}\n")
        return self._answer(200, "text/html", page)

    def do_POST(self) -> None:
        """Answers where the page of a formula is, or in a line what is wrong with it."""
        try:
            self._name()
            page = self.server.made(*self._typed())
        except _Refused as refused:
            return self._json(refused.status, {"wrong": str(refused)})
        except (ValueError, TypeError) as error:
            return self._json(422, {"wrong": _line(error)})
        except Exception as error:
            # Whatever a formula brings about, the server goes on.
            return self._json(500, {"wrong": f"{type(error).__name__}: {_line(error)}"})
        return self._json(200, {"page": page})

    def _name(self) -> str:
        """The name of the page that is asked for, of a question that may be asked."""
        port = self.server.server_port
        hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        if self.headers.get("Host") not in hosts:
            raise _Refused(403, "this host is not served")
        if self.headers.get("Origin", f"http://{hosts[0]}") not in [f"http://{host}" for host in hosts]:
            raise _Refused(403, "another page may not ask this")
        token, _, name = self.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refused(403, "the address lacks its token: open the one that `gradientflow lab` printed")
        return name.partition("?")[0]

    def _typed(self) -> tuple[str, str]:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise _Refused(411, "how long the question is must be said")
        if len(length) > 9 or int(length) > _LARGEST:
            raise _Refused(413, f"at most {_LARGEST} bytes are read")
        try:
            asked = json.loads(self.rfile.read(int(length)))
            energy, methods = asked["energy"], asked["methods"]
        except (ValueError, KeyError, TypeError, RecursionError):
            energy = methods = None
        if not (isinstance(energy, str) and isinstance(methods, str)):
            raise _Refused(400, 'a question is {"energy": "…", "methods": "…"}')
        return energy, methods

    def _json(self, status: int, answer: dict[str, str]) -> None:
        self._answer(status, "application/json", json.dumps(answer))

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            # The address is a secret: it is not told to whom a link leads, and no other page frames or reads this one.
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def version_string(self) -> str:
        """Says no more than needed."""
        return "gradientflow"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal is the user's."""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
