"""What every Offhook server process shares: settings, the ASGI shell and the process around it."""
