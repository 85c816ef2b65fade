"""The mind: engine profiles, the engine that runs them, and the client that survives its engine."""
