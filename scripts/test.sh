#!/usr/bin/env bash
# All checks: formatting, lint, types, import directions, tests.
# Usage: bash scripts/test.sh [--static | --pytest] [WORDS...]
# --static leaves out the tests, --pytest all but the tests. Words are passed on to pytest.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

static=true tests=true
case "${1:-}" in
  --static) tests=false && shift ;;
  --pytest) static=false && shift ;;
esac

ensure_environment dev
install_browser
! has_apt || apt_install libosmesa6 # its depth is compared with that of EGL
cd "$ROOT"

if "$static"; then
  say "Lint"
  ruff check .
  ruff format --check .

  say "Types"
  pyright

  say "Import directions"
  lint-imports
fi

if "$tests"; then
  say "Tests"
  export OMP_NUM_THREADS=1 # two processes on two cores
  exec pytest -q -n 2 --durations=30 "$@"
fi
