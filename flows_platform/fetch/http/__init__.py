"""The HTTP client: connections, pace, rate budgets, redirects, refusals, decompression."""
