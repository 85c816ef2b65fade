"""The browser's door: WebRTC signalling and the page."""
