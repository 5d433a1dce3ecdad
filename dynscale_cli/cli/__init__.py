"""The command line. `main` is the command `dynscale`."""

from .main import main

__all__ = ["main"]
