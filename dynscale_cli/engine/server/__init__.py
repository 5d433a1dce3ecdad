"""The second engine: the same protocol over OpenAI-compatible chat servers."""
