"""The words of the exchange of tokens (RFC 8693), as clients write them."""

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  the name of a type
PROGRAMMATIC = "programmatic_access_token"  # what Snowflake's clients call a long-lived token
PATH = "/oauth/token"
FORM = "application/x-www-form-urlencoded"
