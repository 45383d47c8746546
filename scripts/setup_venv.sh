#!/usr/bin/env bash
# Make (or bring up to date) a virtual environment with subcore installed from this folder, editable:
#     setup_venv.sh FOLDER EXTRAS [3.X]        e.g. setup_venv.sh .venv dev
# Nothing outside FOLDER is written. Doing it again costs nothing until pyproject.toml or the arguments change.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="$1" extras="$2" version="${3:-}"
say() { printf '==> %s\n' "$*"; }

stamp="$(cat pyproject.toml scripts/setup_venv.sh | cksum) $extras $version"
if [ -f "$folder/.ready" ] && [ "$(cat "$folder/.ready")" = "$stamp" ] && "$folder/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

python="$(scripts/find_python.sh "$version")"
compiler="${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}"
# shellcheck disable=SC2086  # CC may hold options
if ! printf 'int main(void) { return 0; }\n' | $compiler -x c -c -o /dev/null - 2>/dev/null; then
    echo "subcore needs a C compiler and '$compiler' does not run: install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install), or set CC" >&2
    exit 1
fi

rm -f "$folder/.ready"
say "setting up $folder with $("$python" --version) ($python)"
if ! [ "$("$folder/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null)" = "$("$python" -c 'import sys; print(sys.version)')" ]; then
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi
say "installing build tools"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check $("$folder/bin/python" - <<'REQUIRES'
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*(name.replace(" ", "") for name in tomllib.load(file)["build-system"]["requires"]))
REQUIRES
)
say "installing subcore's dependencies [$extras] (a minute the first time)"
SUBCORE_NO_EXTENSIONS=1 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[$extras]"
printf '%s\n' "$stamp" > "$folder/.ready"
