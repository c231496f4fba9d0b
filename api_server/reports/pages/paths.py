"""The paths of the reports' pages."""

LIST = "/reports"
ONE = f"{LIST}/{{name}}"
TRIAL = "/test"
