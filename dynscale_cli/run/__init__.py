"""The loop and what it reports: `solve` yields events, the other files make them."""
