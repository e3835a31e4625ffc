"""A server that answers byte by byte, for PATIENCE seconds: in its headers, or in its body."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.node_proxy import serving
from tests.support.waiting import PATIENCE

PAUSE = 0.05
"""Seconds between two bytes: shorter than any time limit for one read."""


@contextmanager
def dripping(part: str) -> Iterator[str]:
    """Address of a server whose `part`, "headers" or "body", does not end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            self.wfile.write(b"x-slow: " if part == "headers" else b"content-length: 9999\r\n\r\n")
            ends = time.monotonic() + PATIENCE
            while time.monotonic() < ends:
                self.wfile.write(b" ")
                time.sleep(PAUSE)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield address
