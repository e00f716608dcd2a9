"""What asset bodies are handed: computing, data versions, tracking."""
