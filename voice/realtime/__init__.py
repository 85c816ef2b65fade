"""The OpenAI Realtime door: ``WS /v1/realtime`` with GA events, and ephemeral client secrets."""
