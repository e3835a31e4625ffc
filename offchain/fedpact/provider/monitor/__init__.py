"""What a running daemon shows of itself: health, metrics, and its state to a supervisor."""
