"""HTTP for all endpoints: connections, limits, tokens, negotiation, problem documents. Independent of any table."""
