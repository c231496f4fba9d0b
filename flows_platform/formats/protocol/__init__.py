"""What all formats share: names, footers, the metered reader, the encoder protocol."""
