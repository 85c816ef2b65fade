"""What the tests against a real vLLM need: its environment, and weights it can load. Not part of a running stack."""
