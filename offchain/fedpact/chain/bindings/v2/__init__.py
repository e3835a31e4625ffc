"""The contracts. What changes the chain is returned as a Call, for Connection.send; only
the registry's functions send themselves."""
