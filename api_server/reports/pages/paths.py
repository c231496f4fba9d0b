"""The paths of the pages, written down once."""

LIST = "/reports"
ONE = f"{LIST}/{{name}}"
TRIAL = "/test"
