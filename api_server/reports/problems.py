"""The kinds of problem of reports with their explanations, and how errors become problems."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from api_server.http.problems import Problem, invalid_parameter, retry_after, unavailable
from api_server.http.tokens import without_tokens
from flows_platform.domain.errors import PlatformError, StorageError, Transient
from flows_platform.reports.parameters import BadParameter, NoData
from flows_platform.reports.runner import NoTable, NotComputable, TooManyBytes, TooManyRows, TooSlow

RETRY_SECONDS = 10
KINDS = {
    "fixed-parameter": "The token fixes the parameter, but the request gives another value; `allowed` is its value.",
    "invalid-body": "The body is not a JSON object of parameters.",
    "too-many-requests": "The token has sent as many requests as it may send. Try again after `Retry-After` seconds.",
    "too-many-rows": "The answer has more rows than the report allows; it is never cut. Ask for less.",
    "too-many-bytes": "The query would bill more bytes than the report allows. Ask for a shorter range.",
    "not-computable": "The warehouse cannot compute the answer for the values of the request: a number or a date "
    "overflows, a divisor is 0, or a text is not what the statement reads from it. Give other values.",
    "too-slow": "The query took longer than the report allows, and was cancelled. Ask for a shorter range.",
    "no-data": "A default depends on the newest data, and the report's tables have no data yet, or do not exist yet.",
    "reports-unavailable": "The warehouse cannot answer now, or too many queries are waiting. Try again after "
    "`Retry-After` seconds.",
    "report-failed": "The warehouse refused the report's query. The server's log has the reason.",
}
_LATER = retry_after(RETRY_SECONDS)

logger = logging.getLogger(__name__)


@contextmanager
def report_problems() -> Iterator[None]:
    """Turn errors of a report into problems. What a client cannot change is logged, and not shown.

    Raises:
        Problem: there was an error.
    """
    try:
        yield
    except BadParameter as error:
        raise invalid_parameter(without_tokens(error.name), without_tokens(error.message), error.allowed) from error
    except (TooManyRows, TooManyBytes) as error:
        kind = "too-many-rows" if isinstance(error, TooManyRows) else "too-many-bytes"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, kind, str(error)) from error
    except NotComputable as error:
        logger.info("a report cannot be computed for the values of a request: %s", error)
        # guard: values of rows are in no message
        detail = f"The warehouse cannot compute the report for these values: {error.why}. Give others."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not-computable", detail) from error
    except TooSlow as error:
        raise Problem(HTTPStatus.GATEWAY_TIMEOUT, "too-slow", str(error), headers=_LATER) from error
    except NoData as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-data", str(error), headers=_LATER) from error
    except NoTable as error:
        detail = "A table of the report does not exist yet; its first window makes it."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no-data", detail, headers=_LATER) from error
    except (Transient, StorageError) as error:
        logger.error("a report cannot be answered: %s", error)
        raise unavailable("reports-unavailable", "The report cannot be answered now", RETRY_SECONDS) from error
    except PlatformError as error:
        logger.error("a report failed: %s", error)
        detail = "The report's query failed; the server's log has the reason."
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "report-failed", detail) from error
