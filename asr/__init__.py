"""The ear: a streaming Whisper server that says when the caller has finished speaking."""
