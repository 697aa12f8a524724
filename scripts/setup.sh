# Sourced by quickstart.sh and test.sh: system libraries, a Python, a virtual environment.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
# open3d: libegl1 libgl1 libusb-1.0-0 libx11-6. Offscreen rendering: libegl1 libegl-mesa0
# libgl1-mesa-dri libopengl0. torch and scipy: libgomp1.
SYSTEM_PACKAGES=(libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libopengl0 libusb-1.0-0 libgomp1 libx11-6)

say() { printf '\n== %s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

can_be_root() { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }

is_installed() {
  dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

# apt_install PACKAGE…: installs those that are missing.
apt_install() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  can_be_root || fail "these packages are missing and neither root nor sudo is there to install" \
    "them: ${missing[*]}. Ask an administrator for: apt-get install ${missing[*]}"
  say "Installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    "${missing[@]}" >/dev/null
}

has_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

install_system_libraries() {
  if has_apt; then
    apt_install "${SYSTEM_PACKAGES[@]}"
  elif [ "$(uname -s)" = Linux ]; then
    say "No apt-get here. If rendering fails, install what Debian calls: ${SYSTEM_PACKAGES[*]}"
  fi
}

has_browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    ! command -v "$name" >/dev/null || return 0
  done
  return 1
}

# install_browser: a Chromium without a window, for the tests of what opens in a browser.
install_browser() {
  has_browser || { has_apt && (apt_install chromium-headless-shell); } ||
    say "The tests of data view need Chromium or Chrome on the PATH, and could not install one"
}

# supports PYTHON: it runs, and is a version that every dependency has wheels for.
supports() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# try_pythons TEST…: prints the first Python that is supported and passes the tests.
try_pythons() {
  local candidate test
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    for test in supports "$@"; do
      "$test" "$candidate" || continue 2
    done
    printf '%s\n' "$candidate"
    return 0
  done
  return 1
}

# make_environment: a virtual environment in $VENV, of a Python that may have to be installed.
make_environment() {
  local python version
  if ! try_pythons makes_venvs >/dev/null && has_apt; then
    if python="$(try_pythons)"; then
      version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
      apt_install "python$version-venv"
    else
      apt_install python3 python3-venv
    fi
  fi
  python="$(try_pythons makes_venvs)" || fail "Python 3.11, 3.12 or 3.13 with the module venv is" \
    "needed; here is $(python3 --version 2>&1 || true). Install one, or set PYTHON=/path/to/python."
  say "Making the virtual environment $VENV with $("$python" --version)"
  "$python" -m venv --clear "$VENV"
}

# ensure_python: $VENV is a virtual environment, whatever it holds.
ensure_python() {
  { supports "$VENV/bin/python" && "$VENV/bin/python" -m pip --version; } >/dev/null 2>&1 ||
    make_environment
}

# stamp EXTRAS: what a complete environment was made from.
stamp() {
  local digest
  digest="$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)"
  printf '%s %s\n' "$digest" "$1"
}

# is_complete EXTRAS: the environment was made from these files, with these extras or with dev.
is_complete() {
  local made
  made="$(cat "$VENV/.complete" 2>/dev/null)" || return 1
  [ "$made" = "$(stamp "$1")" ] || [ "$made" = "$(stamp dev)" ] || return 1
  (cd / && "$VENV/bin/python" -c 'import mfpolicy') 2>/dev/null
}

# ensure_environment [EXTRAS]: $VENV holds the package, editable, at the measured versions.
ensure_environment() {
  local extras="${1:-}"
  install_system_libraries
  if is_complete "$extras"; then
    say "Using the virtual environment $VENV"
  else
    ensure_python
    say "Installing mfpolicy and what it needs (the first time this downloads a few GB)"
    rm -f "$VENV/.complete"
    # no-compile: most of some 20 000 modules are never imported; Python compiles those that are
    (cd "$ROOT" && "$VENV/bin/python" -m pip install -q --disable-pip-version-check \
      --use-pep517 --no-compile -c constraints.txt -e ".${extras:+[$extras]}")
    stamp "$extras" >"$VENV/.complete"
  fi
  export PATH="$VENV/bin:$PATH"
}
