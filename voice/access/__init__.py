"""Who may come in: API keys, session tokens, limits, and the gatekeeper every door asks."""
