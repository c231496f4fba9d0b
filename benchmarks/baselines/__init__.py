"""What the product is compared with: each file is a program of its own, as short as its way is commonly written."""
