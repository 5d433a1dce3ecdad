"""`python -m dynscale_cli`: the command, where the script is not on the path."""

from dynscale_cli.cli import main

if __name__ == "__main__":
    main()
