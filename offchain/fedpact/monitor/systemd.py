"""Messages to systemd's service manager (sd_notify(3)); nothing happens without one."""

import logging
import os
import socket

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds."""


def notify(state: str) -> None:
    """Send assignments such as READY=1, one a line, to the socket that $NOTIFY_SOCKET names."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.settimeout(PATIENCE)  # one that does not read must not hold the service up
            manager.connect(address)
            manager.sendall(state.encode())
    except OSError as error:
        log.debug("systemd: %s", error)
