"""The mouth: a server that takes text in and streams speech out."""
