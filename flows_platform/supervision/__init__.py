"""Child processes and the ports they listen on. Knows no particular program."""
