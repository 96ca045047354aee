"""What can go wrong, as a tree, and the exit code each branch ends a command with.

::

    CytofError                     1   (base; a bug when raised bare)
    ├── UsageError         (ValueError)   2   a setting, an argument or a study file is wrong
    │   ├── ConfigError                   2   study.yaml or another YAML file: file:line
    │   ├── PanelError                    2   panel CSV, or an antigen, channel or role that is not there
    │   └── TemplateError                 2   gating template: file:line
    ├── InputError         (ValueError)   3   the data cannot be used
    │   ├── FCSError                      3   an FCS file: file, segment or keyword
    │   ├── SheetError                    3   sample sheet: file:row: column
    │   └── GateError                     3   a gate that cannot be placed or holds no events
    ├── SampleFailures                    4   the run ended, but some samples failed
    └── ResourceError      (OSError)      5   disk or memory

Every message has the same parts: *where* (file, file:row, file:keyword), what was *found*, what was *expected*, and a
*hint*, the remedy. A fault that does not stop the work is a :class:`Caution` and travels with the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Caution",
    "ConfigError",
    "CytofError",
    "CytofWarning",
    "FCSError",
    "GateError",
    "InputError",
    "PanelError",
    "ResourceError",
    "SampleFailures",
    "SheetError",
    "TemplateError",
    "UsageError",
    "raise_all",
]


class CytofError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    message
        What was found and what was expected, in one sentence.
    where
        File, ``file:row`` or ``file:keyword``; put in front of the message.
    hint
        What the user can do; put behind the message.

    Examples
    --------
    >>> str(CytofError("found 3 columns, expected 4", where="samples.csv:7", hint="add `day`"))
    'samples.csv:7: found 3 columns, expected 4; add `day`'
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        self.message, self.where, self.hint = message, str(where), hint
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The whole line: where, message, hint."""
        return (f"{self.where}: " if self.where else "") + self.message + (f"; {self.hint}" if self.hint else "")


class UsageError(CytofError, ValueError):
    """A setting or an argument is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A study or settings file is wrong."""


class PanelError(UsageError):
    """A panel file is wrong, or an antigen, channel or role asked for is not in it."""


class TemplateError(UsageError):
    """A gating template is wrong."""


class InputError(CytofError, ValueError):
    """The data handed in cannot be used."""

    exit_code = 3


class FCSError(InputError):
    """An FCS file cannot be trusted; ``where`` is ``file:segment`` or ``file:keyword``."""


class SheetError(InputError):
    """A sample sheet is wrong; ``where`` is ``file:row``."""


class GateError(InputError):
    """A gate cannot be placed, or a population asked for is not there."""


class SampleFailures(CytofError):
    """The run reached its end, but these samples failed."""

    exit_code = 4


class ResourceError(CytofError, OSError):
    """Not enough disk or memory, or a folder that cannot be written."""

    exit_code = 5


class CytofWarning(UserWarning):
    """Category of every Python warning this package gives."""


@dataclass(frozen=True)
class Caution:
    """A fault that was mended or passed over: where, what was found, what was done.

    ``level`` is ``"warning"`` (look at it) or ``"note"`` (harmless, kept for the record).

    Examples
    --------
    >>> str(Caution("a.fcs:$TOT", "blank", "counted 120 events from the DATA segment"))
    'a.fcs:$TOT: blank; counted 120 events from the DATA segment'
    """

    where: str
    found: str
    done: str
    level: str = "warning"

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; {self.done}"


def raise_all(errors: Sequence[CytofError] | Iterable[CytofError]) -> None:
    """Raise nothing for no errors, the error itself for one, and one error that lists all lines for more."""
    errors = list(errors)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise type(errors[0])("\n".join(e.text for e in errors))
