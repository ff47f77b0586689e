"""How a command ends: 0 done, 1 a bug, 2 something the user can mend, 3 done, but part of what was to be read or deleted was not."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

from connectors.errors import UserError
from pipelines.faults import explained

DONE: Final = 0
BUG: Final = 1
USER_ERROR: Final = 2
DONE_WITH_GAPS: Final = 3


def exit_code(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code: a user's error becomes one line, anything else a traceback without values."""
    try:
        command()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else BUG
    except UserError as error:
        sys.stderr.write(f"perdure: {error}\n")
        return USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("perdure: interrupted; nothing is lost, run it again to go on\n")
        return 130
    except Exception as error:
        if os.environ.get("PERDURE_DEBUG") != "1" and (said := explained(error)) is not None:
            sys.stderr.write(f"perdure: {said}\n")
            return USER_ERROR
        # an exception's message may quote a value that was being read, and content must never reach a terminal or a log
        frames = "".join(traceback.format_tb(error.__traceback__))
        shown = (
            f": {error}"
            if os.environ.get("PERDURE_DEBUG") == "1"
            else " (its message may hold data and is withheld; PERDURE_DEBUG=1 shows it)"
        )
        sys.stderr.write(f"{frames}perdure: a bug, {type(error).__name__}{shown}\n")
        return BUG
    return DONE
