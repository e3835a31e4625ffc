"""A contract that calls another with all of its calldata but the first byte."""

from eth_utils import to_checksum_address

RELAY = to_checksum_address("0x" + "7e" * 20)
"""Where tests put it (anvil_setCode)."""


def relay_code(target: str) -> str:
    """Its code: n = CALLDATASIZE - 1; CALLDATACOPY(0, 1, n); CALL(GAS, target, 0, 0, n, 0, 0)."""
    copy = "60013603" + "80" + "60015f37"
    call = "5f5f82" + "5f5f" + "73" + target.removeprefix("0x") + "5af1"
    # Reverts unless the call succeeded.
    return "0x" + copy + call + _unless_it_failed(len(copy + call) // 2)


def _unless_it_failed(at: int) -> str:
    """JUMPI over REVERT(0, 0), for code that begins at this byte."""
    return f"60{at + 6:02x}575f5ffd5b00"
