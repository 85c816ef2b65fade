"""What every room measures, under which names, and where it goes."""
