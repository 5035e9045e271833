"""Writes crash dumps (minidumps) of processes, and reads them.

    >>> import dumpwright                                    # doctest: +SKIP
    >>> dumpwright.dump(1234, "app.dmp", flags=dumpwright.MA, comment="hangs")
    <dumpwright.Summary of process 1234: 4 threads, 9437184 bytes in app.dmp>
    >>> dumpwright.open("app.dmp").comment
    'hangs'
"""

from ._dumpwright import *  # noqa: F401,F403
from ._dumpwright import __version__  # noqa: F401
