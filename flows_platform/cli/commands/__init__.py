"""What the commands do. Their flags are one level up."""
