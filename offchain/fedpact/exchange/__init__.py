"""The exchange of signed messages between daemons in rounds."""
