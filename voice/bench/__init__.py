"""``offhook bench call``: whole calls through a door, measured from the audio outside, beside their peers."""
