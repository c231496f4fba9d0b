"""A page as Snowflake's guide to custom APIs describes one: a form, the exchange, and the answer as JSON."""

import streamlit as st

from tests.api_server.guide_client import called, secret, short_token

found = secret(None)
with st.form("Details"):
    account = st.text_input("Account URL")
    role = st.text_input("Role")
    token = found or st.text_input("PAT Token")
    endpoint = st.text_input("Request URL")
    if st.form_submit_button("Fetch it!"):
        st.json(called(short_token(account, role, endpoint, token), endpoint))
