"""Make ``python -m tombola`` the command `tombola`."""

from .cli import main

if __name__ == "__main__":
    main()
