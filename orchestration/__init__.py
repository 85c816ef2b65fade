"""One call from its first ring to its last word, and the processes that make it possible."""
