"""The chain as daemons and commands see it: client, bindings, scanner, keys, deployment, devnet.

JSON-RPC goes over one urllib3 pool and eth-abi, eth-account are used directly. web3.py stands on
the same two; its client costs 2 to 3 ms of processor time a call against 0.5 ms, and 20 MB, which
a round of one second with daemons that poll ten times a second does not have.
"""
