"""Benchmarks of the ear: error rate, turn taking, noise, vocabulary, delay, load, and others beside it."""
