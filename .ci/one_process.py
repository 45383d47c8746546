"""Run scripts one after the other in one process, as its imports are most of the time that a judge of memory needs.

    one_process.py SCRIPT... --count N

Each is run as if it were called alone with `--count N`. Ends at the first that fails.
"""

from __future__ import annotations

import runpy
import sys

at = sys.argv.index("--count")
scripts, options = sys.argv[1:at], sys.argv[at:]
if not scripts:
    sys.exit("no script is named: nothing would be judged")
for script in scripts:
    sys.argv = [script, *options]
    print(f"{script} {' '.join(options)}", flush=True)
    runpy.run_path(script, run_name="__main__")
