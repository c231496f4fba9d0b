"""The CVE endpoints as a feature of the server."""

from collections.abc import Callable, Mapping
from html import escape
from string import Template

from api_server.cves import openapi, paths
from api_server.cves.database import CveDatabase
from api_server.cves.routes import endpoints
from api_server.http.feature import Description, Endpoint, Feature, PageSections
from api_server.http.paths import OPENAPI
from flows_platform.sources.nvd_cves.schema import NOTICE

USAGE = Template("""\
<h2>CVEs</h2>
<pre>curl '$base$cves?severity=CRITICAL&amp;limit=5'
curl '$base$cves/severity?min_date=2024-01-01&amp;format=csv'</pre>
<p><code>$cves</code> lists CVEs by filters, <code>$cve</code> gives one in all details, $totals count them; as JSON
or CSV. <a href="$openapi">openapi.json</a> has their parameters. $notice</p>

""")


class CveFeature(Feature):
    """CVEs from a database that may be missing or slow: only the CVE paths depend on it.

    Args:
        url: Gives the database's URL with the first request for a CVE; None if there is no database. A function, since
            the URL may hold a password, and what finds it takes memory that a server of flows alone can spare.
    """

    source = "CVEs"

    def __init__(self, url: Callable[[], str] | None) -> None:
        self._database = CveDatabase(url)

    def description(self) -> Description:
        return openapi.description()

    def endpoints(self) -> Mapping[str, Endpoint]:
        return endpoints(self._database)

    async def page(self, base: str, *, shows_data: bool) -> PageSections:  # noqa: ARG002  it shows no data
        totals = ", ".join(f"<code>{path}</code>" for path in paths.TOTALS)
        links = {"cves": paths.CVES, "cve": paths.CVE, "openapi": OPENAPI}
        usage = USAGE.substitute(links, base=escape(base), totals=totals, notice=NOTICE)
        return PageSections(usage=usage)

    def close(self) -> None:
        self._database.close()
