"""The command ``cytof``: one command a stage, the same words as the rooms.

Results go to standard output, everything else to standard error. Exit codes: 0 ok; 1 a bug of ours; 2 usage or
configuration; 3 input data; 4 the run ended, but some samples failed; 5 disk or memory; 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys

from cytof.cli import _begin, _clinical, _run, _screen, _share
from cytof.cli._app import app
from cytof.errors import CytofError

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = (_begin, _run, _clinical, _screen, _share)
"""The modules whose commands the application has, in the order ``cytof --help`` shows them."""


def main() -> None:
    """Run the command; every expected fault ends in one clear line and its exit code."""
    try:
        app(prog_name="cytof")
    except SystemExit as ended:
        if ended.code == 130:
            print("interrupted; what was written is whole. Run the same command again to go on.", file=sys.stderr)
        raise
    except CytofError as error:
        _fail(f"error: {error}", error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _bug(error)
        _fail(f"error: {error.filename or 'a file'}: cannot be written: {error.strerror}; free disk space", 5)
    except MemoryError:
        _fail("error: not enough memory; close other programs, or run fewer samples at a time", 5)
    except Exception as error:  # noqa: BLE001 - the last door: a bug of ours is told in one line
        _bug(error)


def _bug(error: Exception) -> None:
    """Tell of a bug of ours in one line, with a way to see it all."""
    if os.environ.get("CYTOF_DEBUG"):
        raise error
    line = f"error: this is a bug in cytof: {type(error).__name__}: {error}"
    _fail(f"{line}\nSet CYTOF_DEBUG=1 and run the command again to see where; please report it.", 1)


def _fail(text: str, code: int) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
    sys.exit(code)
