"""The second protocol's contracts. What changes the chain is returned as a Call, for
Connection.send; only the registry's functions, which are the first protocol's, send themselves."""
