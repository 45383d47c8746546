#!/usr/bin/env bash
# Print the path of a Python that can build subcore: find_python.sh [3.X]
#
# Without an argument: $PYTHON if set, else the first of python3, python3.13 ... python3.11, python, pyenv's own
# versions that is 3.11 or later. With one: exactly that minor version. A command on the path may be a shim that
# does not run, so each candidate is run. Failure is one line on stderr and exit status 1.
set -u

wanted="${1:-}"
probe='
import sys, sysconfig, os
wanted = sys.argv[1]
version = "%d.%d" % sys.version_info[:2]
if wanted and version != wanted or sys.version_info < (3, 11):
    print("version " + version)
    sys.exit(0)
try:
    import ensurepip, venv
except ImportError:
    print("novenv " + version)
    sys.exit(0)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    print("noheaders " + version)
    sys.exit(0)
print("ok " + sys.executable)
'

candidates() {
    if [ -n "$wanted" ]; then
        printf '%s\n' "python$wanted" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$wanted".*/bin/"python$wanted" python3 python
    elif [ -n "${PYTHON:-}" ]; then
        printf '%s\n' "$PYTHON"
    else
        printf '%s\n' python3 python3.13 python3.12 python3.11 python \
            "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-9].*/bin/python3
    fi
}

seen=""
while IFS= read -r candidate; do
    answer="$("$candidate" -c "$probe" "$wanted" 2>/dev/null </dev/null)" || continue
    case "$answer" in
        "ok "*) printf '%s\n' "${answer#ok }"; exit 0 ;;
        "version "*) seen="$seen; $candidate is ${answer#version }" ;;
        "novenv "*) seen="$seen; $candidate lacks the venv module (Debian, Ubuntu: apt install python3-venv)" ;;
        "noheaders "*) seen="$seen; $candidate lacks Python.h (Debian, Ubuntu: apt install python3-dev)" ;;
    esac
done < <(candidates)

if [ -n "$wanted" ]; then
    need="Python $wanted"
else
    need="Python 3.11 or later"
fi
if [ -n "${PYTHON:-}" ] && [ -z "$seen" ] && [ -z "$wanted" ]; then
    seen="; PYTHON=$PYTHON does not run"
fi
found="${seen#; }"
echo "subcore needs $need with venv and headers, and found none (${found:-no python on the path runs}): install one, or set PYTHON=/path/to/python3" >&2
exit 1
