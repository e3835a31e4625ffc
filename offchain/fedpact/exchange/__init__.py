"""The exchange of signed messages between daemons in rounds of the second protocol."""
