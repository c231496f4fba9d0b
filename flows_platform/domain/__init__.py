"""The platform's concepts, on the standard library alone: no I/O, no clock, no third-party import."""
