"""Flows on the page at `/`: figures, and links and commands that work against the data held now."""

from html import escape
from string import Template

from api_server.flows import paths
from api_server.flows.parameters import AFTER, BEFORE, stream_parameters
from api_server.http.feature import PageSections
from api_server.http.parameters import IntegerParameter, Parameter
from flows_platform.domain.schema import TableSchema
from flows_platform.formats.protocol.names import WireFormat

# The window of the examples; the pipeline asks for three hours at a time.
EXAMPLE_SECONDS = 3 * 3600

FIGURES = Template("""\
<li><b>$rows</b><span>rows held</span></li>
<li><b>$newest</b><span>newest time</span></li>
""")
LINKS = Template("""\
<li><b><a href="$latest">latest</a></b><span>what sensors poll</span></li>
""")
START = Template("""\
<h2>Stream a window</h2>
<pre>curl '$base$stream?$window&amp;limit=5&amp;format=ndjson'
curl '$base$stream.xml?$window&amp;limit=5'
curl --head '$base$stream?$window'
curl --compressed '$base$stream?$window&amp;format=csv' --output window.csv</pre>
<p>Rows come in id order from one state of the database. <code>Record-Count</code> says how many before the first one;
JSON and XML say it again at their end, the other formats with <code>footer=1</code>. <code>digest=1</code> adds a \
digest of
the rows, the same in every format. A transfer that breaks off is incomplete.</p>

""")
USAGE = Template("""\
<h2>Formats</h2>
<div class="scroll"><table>$formats</table></div>
<p><code>format</code> chooses, else the <code>Accept</code> header, else JSON. <code>Accept-Encoding</code> takes
<code>zstd</code> and <code>gzip</code>. <a href="$stream.json?$window&amp;limit=100">$stream.json</a> and
<a href="$stream.xml?$window&amp;limit=100">$stream.xml</a> have their format fixed.</p>

<h2>Parameters</h2>
<div class="scroll"><table>$parameters</table></div>

""")
REFERENCE = Template("""\
<h2>Columns</h2>
<div class="scroll"><table>$columns</table></div>

""")


def sections(schema: TableSchema, base: str, held: tuple[int | None, int] | None) -> PageSections:
    """The sections of a table.

    Args:
        schema: The table.
        base: The server's own URL.
        held: The newest time and the number of rows; None where the page shows neither.
    """
    time, count = held or (None, None)
    query = _window(time)
    values = {"base": escape(base), "stream": paths.STREAM, "window": escape(query)}
    return PageSections(
        figures=FIGURES.substitute(
            rows="not shown" if count is None else f"{count:,}",
            newest="not shown" if count is None else "none yet" if time is None else f"second {time:,}",
        ),
        links=LINKS.substitute(latest=paths.LATEST),
        start=START.substitute(values),
        usage=USAGE.substitute(
            values,
            formats="".join(_format_row(wire_format, query) for wire_format in WireFormat),
            parameters="".join(_parameter_row(parameter) for parameter in stream_parameters(tuple(WireFormat))),
        ),
        reference=REFERENCE.substitute(
            columns="".join(_row(column.name, column.type, column.description) for column in schema.columns)
        ),
    )


def _window(time: int | None) -> str:
    """The query of the three-hour window that holds `time`."""
    start = 0 if time is None else time // EXAMPLE_SECONDS * EXAMPLE_SECONDS
    before = f"{BEFORE.name}={start + EXAMPLE_SECONDS - 1}"
    return f"{AFTER.name}={start - 1}&{before}" if start > 0 else before


def _format_row(wire_format: WireFormat, window: str) -> str:
    link = escape(f"{paths.STREAM}?{window}&limit=100&format={wire_format}")
    return f'<tr><td><a href="{link}">{wire_format}</a></td><td><code>{wire_format.content_type}</code></td></tr>'


def _parameter_row(parameter: Parameter) -> str:
    allowed = f"from {parameter.minimum}" if isinstance(parameter, IntegerParameter) else parameter.allowed
    return _row(parameter.name, allowed, parameter.description)


def _row(name: str, kind: str, text: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
