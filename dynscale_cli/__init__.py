"""dynscale: better answers from a local language model, for exactly the tokens its user allows.

Owns nothing but the version. The rooms are described in `dynscale_cli/README.md`.
"""

__version__ = "0.3.0"
