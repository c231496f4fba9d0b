"""Who may use what listens on this machine: names in the Host header, keys in files, folders of one user."""
