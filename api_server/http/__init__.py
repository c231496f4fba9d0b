"""HTTP for all endpoints: connections, limits, tokens, negotiation, problem documents. Does not know any table."""
