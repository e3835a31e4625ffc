"""Requests with real daemons, chain and store, while what is around them fails (`make chaos`).

schedule     which faults strike when
strikes      how each fault is injected
weather      what a node or a store does to one process
moved_clock  a process whose clock is set wrong
world        the processes of an episode; actors: one that is killed and started again
play         one episode
verdict      what must hold after it
"""
