"""The main job on one machine: a chain, daemons as processes, a requester, an audit."""
