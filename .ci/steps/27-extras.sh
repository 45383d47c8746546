# What later steps need beside [dev]: installed while nothing else runs from this environment.
. .ci/lib.sh
scripts/setup_venv.sh .venv dev,bench
