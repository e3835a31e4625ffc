"""What a daemon knows of one request: the chain at one block, contents, its history."""
