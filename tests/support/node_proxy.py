"""A proxy in front of a node: it limits answers as hosted nodes do, or it lies."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import urllib3

Message = dict[str, Any]
Told = Callable[[Message, Any], Any]
"""What a node makes of a message's true result."""


class HttpAnswer(Exception):
    """Raised by a habit: the whole post is answered with this status."""

    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        super().__init__(status)
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Dropped(Exception):
    """Raised by a habit: the connection is closed without an answer."""


def honest(message: Message, result: Any) -> Any:
    """The answer of the node behind the proxy."""
    return result


def events_changed(topic: str, word: int = -1) -> Told:
    """Every event of this topic says a little more or less in this word of its data."""

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        return [
            {**log, "data": nudged(log["data"], word)} if log["topics"][0] == topic else log
            for log in result
        ]

    return told


def events_hidden(topic: str) -> Told:
    """There are no events of this topic."""

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_getLogs":
            return result
        return [log for log in result if log["topics"][0] != topic]

    return told


def view_changed(selector: bytes, word: int = -1) -> Told:
    """This word of what the view returns is a little more or less."""
    asked = "0x" + selector.hex()

    def told(message: Message, result: Any) -> Any:
        if message["method"] != "eth_call" or not message["params"][0]["data"].startswith(asked):
            return result
        return nudged(result, word)

    return told


def nudged(data: str, word: int = -1) -> str:
    """The same words of 32 bytes, one of them with another last bit."""
    words = [data[at : at + 64] for at in range(2, len(data), 64)]
    words[word] = words[word][:-1] + f"{int(words[word][-1], 16) ^ 1:x}"
    return "0x" + "".join(words)


@contextmanager
def node_in_front(
    url: str,
    habit: Callable[[Message], Message | None] = lambda _: None,
    told: Told = honest,
    memory: dict[str, Message] | None = None,
) -> Iterator[str]:
    """Address of a proxy that passes every message on to `url`.

    `habit` may change a message before it is passed on, return the error that answers it, or raise
    HttpAnswer or Dropped; in a message of a batch, `batch` is the number of its calls.
    `told` gets the message and its true result, and returns the result to send.
    `memory`: true answers, which are asked for once; the chain then stands still.
    """
    pool = urllib3.PoolManager()

    def answered(message: Message, batch: int = 1) -> Message:
        message = {**message, "batch": batch} if batch > 1 else message
        error = habit(message)
        if error is not None:
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}
        headers = {"Content-Type": "application/json"}
        sent = {name: value for name, value in message.items() if name != "batch"}
        key = json.dumps([message["method"], message["params"]])
        found: Message | None = None if memory is None else memory.get(key)
        if found is None:
            response = pool.request("POST", url, body=json.dumps(sent), headers=headers)
            found = response.json()
        if memory is not None:
            memory[key] = found
        found = {**found, "id": message["id"]}
        return {**found, "result": told(message, found["result"])} if "result" in found else found

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers = 200, {}
            try:
                answer = (
                    [answered(one, len(asked)) for one in asked]
                    if isinstance(asked, list)
                    else answered(asked)
                )
                body = json.dumps(answer).encode()
            except HttpAnswer as refusal:
                status, headers, body = refusal.status, refusal.headers, refusal.body
            except Dropped:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with pool, serving(Handler) as address:
        yield address


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Address of a server on loopback whose requests `handler` answers."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that is killed while it waits is no error of the server's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)  # type: ignore[arg-type]
