"""What is well with an installation and its machine, what is not, and the command that mends it.

    Finding   one line of the report
    examine   all of them, in the order in which they are shown

llama.cpp is asked in a child process: a library that crashes or hangs is a finding like any other.
"""

from .finding import Finding
from .report import examine

__all__ = ["Finding", "examine"]
