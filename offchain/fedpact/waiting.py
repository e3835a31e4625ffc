"""Starting a service while what it needs is not there yet."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from fedpact.errors import Retryable

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds between two attempts to start."""


def when_there(action: Callable[[], T], on_wait: Callable[[str], None] = lambda _: None) -> T:
    """Its result, as soon as node, store and disk are there: after a power cut they may come up
    later than this service, and one that ended on a full disk would not be there when there is
    room. `on_wait` gets the reason each time that it changes.
    """
    said, wait = "", FIRST_WAIT
    while True:
        try:
            return action()
        except Retryable as error:
            if str(error) != said:
                said = str(error)
                on_wait(said)
                log.error("%s: waiting for it", error)
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
