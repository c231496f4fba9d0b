"""What the platform is about, in the standard library alone: no I/O, no clock, no third-party import."""
