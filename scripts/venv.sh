# Sourced by the scripts beside it: use_venv REQUIREMENTS makes the virtual environment ($VENV, default .venv in the
# checkout) where it is absent, installs REQUIREMENTS when that file or the environment is new, and puts it on PATH.
# With --announce it only says what it would install.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

use_venv() {
    local venv=${VENV:-.venv} announce=
    if [ "$1" = --announce ]; then announce=yes && shift; fi
    local requirements=$1 source=$1 flags=() stamp
    # Elsewhere there is no lock, and pip chooses the versions.
    case "$(uname -sm)" in
        "Linux x86_64" | "Linux aarch64") source=${1%.txt}.lock flags=(--require-hashes) ;;
    esac
    # A later file includes the earlier ones (-r), so all of them are in the fingerprint.
    stamp=$(cat requirements*.txt requirements*.lock | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$venv/$requirements.installed" 2>/dev/null)" = "$stamp" ]; then
        [ -z "$announce" ] || echo "$venv has what $source names: nothing to install"
    else
        announce_install "$source" "$venv"
        if [ -z "$announce" ]; then
            [ -x "$venv/bin/python" ] || make_venv "$venv"
            install "$venv/bin/python" "${flags[@]}" -r "$source"
            if [ "$requirements" = requirements-dev.txt ]; then # its tests make second looks, blur, and ask a bucket
                install "$venv/bin/python" --no-deps --require-hashes -r requirements-second-look.txt \
                    -r requirements-blur.txt -r requirements-s3-server.txt
            fi
            echo "$stamp" >"$venv/$requirements.installed"
        fi
    fi
    if [ -z "$announce" ]; then PATH="$(cd "$venv" && pwd)/bin:$PATH"; fi
}

# How large it is and how long it takes, before it begins: the lock's first lines hold the sizes.
announce_install() {
    local download installed unpack=30 # MB in a second, as pip manages on two cores
    read -r download installed < <(
        sed -nE 's/^# Size: ([0-9]+) MB to download, ([0-9]+) MB installed\.$/\1 \2/p' "${1%.*}.lock"
    )
    if has_uv; then unpack=150; fi
    echo "installing $1 into $2, once: $download MB to download, $installed MB on disk;"
    echo "about $(minutes $((download * 8 / 100 + installed / unpack))) at 100 Mbit/s, $(minutes $((download * 8 / 20 + installed / unpack))) at 20 Mbit/s"
}

minutes() { # of so many seconds, rounded up
    local count=$((($1 + 59) / 60))
    if [ "$count" = 1 ]; then echo "a minute"; else echo "$count minutes"; fi
}

has_uv() { uv --version >/dev/null 2>&1; }

make_venv() {
    local python
    for python in python3.13 python3.12 python3.11 python3.14 python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then break; fi
        python=
    done
    if [ -z "$python" ]; then
        echo "error: Python 3.11 to 3.14 is needed; install one and run this again" >&2
        exit 2
    fi
    "$python" -m venv "$1"
}

# uv is several times faster where it is there; it does not read pip's settings, so pip is asked where uv fails.
install() { # Python, pip's arguments
    local python=$1
    shift
    if has_uv; then
        if uv pip install --python "$python" "$@"; then return; fi
        echo "uv could not install it; asking pip" >&2
    fi
    "$python" -m pip install --disable-pip-version-check "$@"
}
