"""The telephone doors."""
