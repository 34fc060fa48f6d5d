# Sourced by the scripts beside it: use_venv REQUIREMENTS makes the virtual environment ($VENV, default .venv in the
# checkout) where it is absent, installs REQUIREMENTS when that file or the environment is new, and puts it on PATH.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

use_venv() {
    local venv=${VENV:-.venv} requirements=$1 python stamp
    if [ ! -x "$venv/bin/python" ]; then
        for python in python3.13 python3.12 python3.11 python3; do
            if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
            python=
        done
        if [ -z "$python" ]; then
            echo "error: Python 3.11 or newer is needed; install it and run this again" >&2
            exit 2
        fi
        echo "making a virtual environment in $venv"
        "$python" -m venv "$venv"
    fi
    # A later file includes the earlier ones (-r), so all of them are in the fingerprint.
    stamp=$(cat requirements*.txt | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$venv/$requirements.installed" 2>/dev/null)" != "$stamp" ]; then
        echo "installing $requirements into $venv (the first time takes some minutes)"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
        echo "$stamp" >"$venv/$requirements.installed"
    fi
    PATH="$(cd "$venv" && pwd)/bin:$PATH"
}
