"""Make ``python -m tombola.cli`` the command `tombola`."""

from . import main

if __name__ == "__main__":
    main()
