"""HTTP for all endpoints: connections, limits, tokens, negotiation, problem documents. Knows no table."""
