"""LANL cyber1 network flows, the reference source (A. D. Kent, 2015, doi:10.17021/1179829; CC0)."""
