"""The paths of reports, and their scopes."""

from api_server.http.tokens import Scope

LIST = "/api/v1/reports"
ONE = f"{LIST}/{{name}}"
SCHEMA = f"{ONE}/schema"
QUERY = f"{ONE}/query"
SCOPES = dict.fromkeys((LIST, ONE, SCHEMA, QUERY), Scope.REPORTS_READ)
