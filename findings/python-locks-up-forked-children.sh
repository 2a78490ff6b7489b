#!/usr/bin/env bash
# CPython before 3.11.10 (https://github.com/python/cpython/issues/112275): a forked child waits without end where
# a thread of a library was just beginning to run Python when the process forked. Such a thread takes the lock of
# the interpreter's list of threads without holding the GIL; the child finds the lock held and asks for it before
# it makes it new. With torch.distributed, whose threads do so, a worker of a DataLoader then never starts.
#
# Seen under 3.11.7 on 2 busy cores, beside 8 threads that begin: 22 of 8,500 forks, and 2 of 8,500 where
# sys._current_frames(), which takes that lock and gives it back, is called before each. Two ranks of Lightning over
# gloo that fork about a hundred workers hung in 2 of 29 runs, and in none of 26 with that call.
# Expected: no child hangs. The script fails where none does without that call, as from 3.11.10 on.
# Way out: Python 3.11.10, or 3.12. tombola calls sys._current_frames() before a fork (tombola._base.fork).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/run.py" <<'PYTHON'
import ctypes
import os
import signal
import sys
import time

FORKS, THREADS = 4_000, 8

libc = ctypes.CDLL(None)
Start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
libc.pthread_create.argtypes = [ctypes.c_void_p, ctypes.c_void_p, Start, ctypes.c_void_p]
libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
nothing = Start(lambda _: 0)


def hangs() -> bool:
    threads = (ctypes.c_ulong * THREADS)()
    for i in range(THREADS):
        libc.pthread_create(ctypes.addressof(threads) + i * ctypes.sizeof(ctypes.c_ulong), None, nothing, None)
    child = os.fork()
    if child == 0:
        os._exit(0)
    for thread in threads:
        libc.pthread_join(thread, None)
    until = time.monotonic() + 3
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.0005)
    return False


ballast = bytearray(b"x" * 200_000_000)  # a fork lasts longer the more there is to copy
as_it_is = sum(hangs() for _ in range(FORKS))
os.register_at_fork(before=sys._current_frames)
waiting = sum(hangs() for _ in range(FORKS))
print(f"Python {sys.version.split()[0]}: of {FORKS} forks {as_it_is} hung; after sys._current_frames() {waiting}")
sys.exit(as_it_is == 0)
PYTHON
python3 "$work/run.py"
