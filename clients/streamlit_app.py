"""A page for the reports of a server: streamlit run clients/streamlit_app.py -- --url https://flows.example.com.

The default server is that of this installation. The page asks for the token, unless FLOWS_API_TOKEN is set.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import streamlit as st

from flows_platform.client import Reports
from flows_platform.domain.errors import PlatformError
from flows_platform.settings import load_settings


@st.cache_resource
def client(url: str, token: str) -> Reports:
    """The client, which all sessions share, so that unchanged tables come from its memory."""
    return Reports(url, token or None)


def field(name: str, schema: Mapping[str, Any], default: object) -> object:
    """The input of a parameter, made from its JSON Schema. An empty one means the default."""
    hint, shown = str(schema.get("description", "")), "" if default is None else f"default: {default}"
    if choices := schema.get("enum") or ([True, False] if schema["type"] == "boolean" else []):
        words = [str(choice).lower() if isinstance(choice, bool) else choice for choice in choices]
        return st.selectbox(name, words, index=None, placeholder=shown, help=hint)
    if many := schema.get("items", {}).get("enum"):
        return st.multiselect(name, many, placeholder=shown, help=hint)
    if schema.get("format") == "date":
        return st.date_input(name, value=None, help=f"{hint} {shown}")
    return st.text_input(name, placeholder=shown, help=hint)


def rows(reports: Reports, report: Mapping[str, Any], given: Mapping[str, object]) -> None:
    """The table of a report, and its chart if it has one."""
    with st.spinner("Asking the server…"):
        table = reports.get(report["name"], **given)
    st.caption(f"{table.num_rows:,} rows, data as of {report['data_as_of'] or 'nothing yet'}")
    if (chart := report.get("chart")) and table.num_rows:
        figures = table.select([chart["x"], chart["y"]]).to_pandas()
        figures[chart["y"]] = figures[chart["y"]].astype(float)
        if chart["kind"] == "line":
            st.line_chart(figures, x=chart["x"], y=chart["y"])
        else:
            st.bar_chart(figures, x=chart["x"], y=chart["y"], sort=False)
    st.dataframe(table.to_pandas(), hide_index=True)


def page() -> None:
    """The whole page."""
    st.set_page_config("Reports", layout="wide")
    st.title("Reports")
    settings, parser = load_settings(), argparse.ArgumentParser()
    parser.add_argument("--url", default=settings.api_base)
    url = st.sidebar.text_input("Server", parser.parse_known_args()[0].url)
    held = settings.api_token.get_secret_value() if settings.api_token else ""
    token = held or st.sidebar.text_input("Token", type="password")
    try:
        reports = client(url, token)
        listed = {report["name"]: report for report in reports.list()}
        if not (name := st.sidebar.selectbox("Report", listed)):
            return
        report = listed[name]
        st.write(report["description"])
        properties = reports.schema(name)["$defs"]["Parameters"]["properties"]
        defaults = {parameter["name"]: parameter["default"] for parameter in report["parameters"]}
        with st.form(f"form-{name}"):
            given = {key: field(key, schema, defaults.get(key)) for key, schema in properties.items()}
            st.form_submit_button("Show")
        rows(reports, report, {key: value for key, value in given.items() if value not in (None, "", [])})
    except PlatformError as error:
        st.error(str(error))


page()
