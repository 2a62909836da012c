"""How a process is shut in. Standard library only.

`enter` shuts in the calling (just forked) process, `Confinement` says how, `probe` says what this machine can do.
"""

from clary.sandbox.confinement import INSIDE_AUTHORITIES, Confinement, Rung, host_id
from clary.sandbox.enter import enter
from clary.sandbox.probe import Fact, Isolation, IsolationError, choose, probe

__all__ = [
    "INSIDE_AUTHORITIES",
    "Confinement",
    "Fact",
    "Isolation",
    "IsolationError",
    "Rung",
    "choose",
    "enter",
    "host_id",
    "probe",
]
