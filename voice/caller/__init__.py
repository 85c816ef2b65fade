"""A caller of our own: places a call as a telephone would, and measures from its side of the line."""
