"""Apps of Flower, run apart: in a process of their own, which forks once a message."""
