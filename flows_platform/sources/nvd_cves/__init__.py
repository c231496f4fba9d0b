"""NVD's CVEs (https://nvd.nist.gov/developers/vulnerabilities, API 2.0): SQL tables, how they are filled and read."""
