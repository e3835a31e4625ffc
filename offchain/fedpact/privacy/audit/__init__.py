"""Checks that a stated privacy cost can fail: they run the mechanism and look at what comes out."""
