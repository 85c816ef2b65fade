"""Benchmarks of the ear: error rate, turn taking, noise, vocabulary, delay, load, and others beside it."""

#: The halves of a manifest's speakers: those on whose clips the settings were chosen, and the others.
HALVES = ("tuned", "held-out")
