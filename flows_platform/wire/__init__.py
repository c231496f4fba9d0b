"""Bytes ↔ records. `encode` is the server's half, `decode` the client's: a server never loads a parser."""
