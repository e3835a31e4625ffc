"""What a running service shows of itself: health, metrics, and its state to a supervisor."""
