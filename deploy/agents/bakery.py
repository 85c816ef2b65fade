"""What the example agent `bakery` can look up."""

HOURS = {"saturday": "from eight to two", "sunday": "from nine to noon"}


def opening_hours(day: str) -> str:
    """Return when the bakery is open on ``day``."""
    return f"On {day.title()} the bakery is open {HOURS.get(day, 'from seven to six')}."
