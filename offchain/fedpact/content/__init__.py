"""Content-addressed storage, and the encryption of what is stored."""
