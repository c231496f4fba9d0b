"""The endpoint of TPC-H's orders."""
