"""One class a contract, one method a function, values of fedpact.types in and out.

What changes the chain is returned as a Call, for Connection.send; only functions of the registry
send themselves.
"""
