"""How a program logs; called where the program starts."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NOISY = ("httpx", "uvicorn")
"""Loggers that write a line for each HTTP message."""


def log_to_stderr() -> None:
    """From level INFO on; the noisy libraries from WARNING on."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
