"""What the commands do. Their arguments are one level up."""
