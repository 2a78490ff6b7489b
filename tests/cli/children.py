"""What child processes of these tests do before they run."""

import signal


def listen_to_ctrl_c() -> None:
    """Undo what a shell does for commands in the background, which ignore the signal and so do theirs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
