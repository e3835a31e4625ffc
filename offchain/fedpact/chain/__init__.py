"""The chain as daemons and commands see it: nodes, client, bindings, scanner, keys, deployment,
devnet.

web3.py carries JSON-RPC over HTTP and IPC, the codec and the decoding of events; websockets carries
it over WebSocket. Our own is the order of calls: which node, which block, which nonce, and what is
stored of the events.
"""
