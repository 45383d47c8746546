# What users get: the sdist, a wheel built from it in isolation, and that wheel at work in an empty environment, far from
# this folder.
. .ci/lib.sh
export SUBCORE_OPTIMIZE=0 # compiled in a quarter of the time; how fast it is, others judge
work="$PWD/build/packaging"
rm -rf "$work"
mkdir -p "$work"
say "sdist, and the wheel from it"
env -u PYTHONPATH "$BIN/python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
ls -l "$work/dist"
wheel="$(ls "$work"/dist/*.whl)"
"$BIN/python" - "$wheel" <<'CONTENTS'
import sys, zipfile
from pathlib import Path

held = set(zipfile.ZipFile(sys.argv[1]).namelist())
wanted = {str(p.relative_to("python")) for p in Path("python/subcore").rglob("*") if p.suffix in {".py", ".pyi", ".pxd", ".typed"} or p.name == "py.typed"}
wanted |= {"subcore/exporters/grafana.json", "subcore/exporters/alert_rules.yml"}
wanted |= {str(p.relative_to("python")) for p in Path("python/subcore/dashboard/static").rglob("*") if p.is_file()}
engine = {p.name.split(".")[0] for p in Path("python/subcore").glob("*/*.so")}  # compiled by make test
modules = {p.stem for p in Path("src/subcore").glob("*.pyx")} | {"engine__mypyc"} | engine
compiled = {Path(name).name.split(".")[0] for name in held if name.endswith(".so")}
stray = {name for name in held if name.endswith((".c", ".pyx", ".h"))}
if wanted - held or modules != compiled or stray:
    sys.exit(f"wheel: missing {sorted(wanted - held)}, modules {sorted(modules ^ compiled)} differ, stray {sorted(stray)}")
CONTENTS

say "installed into an empty environment"
"$BIN/python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet "$wheel"
cd "$work/venv"  # not the repository: `import subcore` must find the wheel
bin/python -c 'import subcore; print("subcore", subcore.__version__, "from", subcore.__file__)'
say "a user's own extension against it"
bin/python -m pip install --quiet "setuptools>=77" "Cython>=3.1,<4"
bin/python "$OLDPWD/tests/packaging/build_and_run.py" "$work/users"
if grep -rqsE 'def demo|"demo"' "$OLDPWD/python/subcore/cli"; then
    say "subcore demo"
    bin/subcore demo --seconds 3 --json >"$work/demo.json"
    bin/python -c 'import json, sys; print(json.loads(open(sys.argv[1]).read().splitlines()[-1]))' "$work/demo.json"
fi
