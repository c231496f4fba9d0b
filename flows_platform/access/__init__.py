"""Access to servers on this machine: names in the Host header, keys in files, folders of one user."""
