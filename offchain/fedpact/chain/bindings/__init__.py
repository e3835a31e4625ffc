"""One class a contract, one method a function, values of fedpact.types in and out."""
