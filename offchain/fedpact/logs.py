"""How a program logs; called where the program starts."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypedDict

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NOISY = ("httpx", "urllib3", "uvicorn", "web3", "websockets")
"""Loggers that write a line for each message; some with the whole address, and so with its key."""


class Choice(TypedDict):
    """The arguments of `log_to_stderr`."""

    level: str
    as_json: bool


_chosen: Choice = {"level": "info", "as_json": False}
_subject: ContextVar[Mapping[str, object]] = ContextVar("subject", default=MappingProxyType({}))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Lines of this thread are about `fields`, such as a request, besides those given outside."""
    token = _subject.set({**_subject.get(), **fields})
    try:
        yield
    finally:
        _subject.reset(token)


def log_to_stderr(level: str = "info", *, as_json: bool = False) -> None:
    """From `level` on; the noisy libraries from WARNING on.

    `as_json`: one object a line, with the fields of `about`. Text lines name them in the message.
    """
    _chosen["level"], _chosen["as_json"] = level, as_json
    handler = logging.StreamHandler()
    if as_json:
        handler.setFormatter(_json_formatter())
        handler.addFilter(_with_subject)
    else:
        handler.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def chosen() -> Choice:
    """How this program logs, for a process that it starts."""
    return _chosen.copy()


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        ["asctime", "levelname", "name", "message"],
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def _with_subject(record: logging.LogRecord) -> bool:
    """Adds the fields to the record; what a caller gives as `extra` is kept."""
    for name, value in _subject.get().items():
        record.__dict__.setdefault(name, value)
    return True


def without_figures(message: str) -> str:
    """A message with # for each number, to compare it with one that has another price or block."""
    return re.sub(r"\d[\d.,]*", "#", message)
