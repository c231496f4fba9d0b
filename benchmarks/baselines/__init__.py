"""What the product is compared with: every file is a program, as short as such programs commonly are."""
