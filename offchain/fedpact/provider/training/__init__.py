"""Training in processes of their own: tasks, workers, and what a daemon asks of them."""
