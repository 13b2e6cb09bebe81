"""`python -m orderhub`."""

import signal

# While the code is loaded Ctrl-C ends the process at once, silently, instead of with the trace of an import.
_HANDLER = signal.getsignal(signal.SIGINT)
if _HANDLER is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from orderhub.cli import main  # noqa: E402

if __name__ == "__main__":
    try:
        # Back as it was: it may well be ignored, in a shell's background.
        signal.signal(signal.SIGINT, _HANDLER)
        code = main()
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
