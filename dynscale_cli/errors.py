"""What can go wrong, as a user meets it: one line, what to do next, and the exit code.

    DynscaleError            exit 1
    ├── UsageError           exit 2   the command line, a setting or an input file
    ├── ModelError           exit 1   no model, or one that cannot be loaded
    ├── EngineError          exit 1   decoding failed
    └── BudgetError          exit 2   the budget does not pay for a single sample

Knows nothing of terminals: `cli` prints these, everything else raises them.
"""


class DynscaleError(Exception):
    """An error to be shown, never a traceback.

    `message` says in one line what is wrong; `hint` says what to do, best of all as a command.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DynscaleError):
    exit_code = 2


class ModelError(DynscaleError):
    pass


class EngineError(DynscaleError):
    pass


class BudgetError(DynscaleError):
    exit_code = 2
