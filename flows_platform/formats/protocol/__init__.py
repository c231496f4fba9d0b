"""What all formats share: names, footers, the metered reader, the base class of encoders."""
