#!/usr/bin/env bash
# All checks: formatting, lint, types, import directions, tests. Words are passed on to pytest.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

ensure_environment dev
install_browser
! has_apt || apt_install libosmesa6 # its depth is compared with that of EGL
cd "$ROOT"

say "Lint"
ruff check .
ruff format --check .

say "Types"
pyright

say "Import directions"
lint-imports

say "Tests"
export OMP_NUM_THREADS=1 # two processes on two cores
exec pytest -q -n 2 --durations=30 "$@"
