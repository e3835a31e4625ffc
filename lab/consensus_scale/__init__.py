"""Study: what a request costs among many participants, by PoQ and by proof of work."""
