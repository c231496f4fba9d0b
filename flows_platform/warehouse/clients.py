"""BigQuery's client for a project, by a key or by application default credentials."""

import json
from base64 import b64decode

from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2.service_account import Credentials

from flows_platform.domain.errors import ConfigurationError

CREDENTIALS = (
    "Set FLOWS_BIGQUERY_CREDENTIALS to a service account's JSON key in base64, or unset it and set up application "
    "default credentials: gcloud auth application-default login."
)


def project_client(project: str, location: str, key: str | None) -> bigquery.Client:
    """A client for BigQuery itself, for processes without Dagster; runs get theirs from dagster-gcp.

    A key counts alone: the environment's credentials are not looked at.

    Args:
        project: The project that queries are billed to.
        location: Where jobs run.
        key: A service account's key, base64 of its JSON; None for application default credentials.

    Raises:
        ConfigurationError: there are no credentials, or the key is not one.
    """
    try:
        given = json.loads(b64decode(key, validate=True)) if key else None
        credentials = Credentials.from_service_account_info(given) if given else None
        return bigquery.Client(project=project, location=location, credentials=credentials)
    except (GoogleAuthError, ValueError, AttributeError, TypeError) as error:
        why = type(error).__name__ if key else str(error).rstrip(".")  # what is said of a key might show it
        raise ConfigurationError(
            f"the credentials of BigQuery cannot be used ({why}).", remedy=CREDENTIALS
        ) from None  # a chained error might show the key
