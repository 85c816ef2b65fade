"""The doors: where a call enters, and the command that runs everything."""
