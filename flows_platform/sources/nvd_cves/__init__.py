"""NVD's CVEs (https://nvd.nist.gov/developers/vulnerabilities, API 2.0): SQL tables, and what fills and reads them."""
