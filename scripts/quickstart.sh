#!/usr/bin/env bash
# The main job from nothing: ten demonstrations in, a one-step policy out, its success rate measured.
# Running it again uses what is there: environment, dataset, run, finished episodes.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

TASK=metaworld/drawer-open
DATA=data/drawer-open.zarr
RUN=runs/drawer-open

ensure_environment
cd "$ROOT"
started=$SECONDS

say "1/3 Ten demonstrations of $TASK by the scripted expert"
mfpolicy collect task=$TASK episodes=10 seed=0 out=$DATA

say "2/3 Training policy=mp1_mixer"
mfpolicy train task=$TASK policy=mp1_mixer data=$DATA out=$RUN resume=true

say "3/3 Fifty episodes on seeds that nobody trained on"
mfpolicy eval $RUN episodes=50 seed=10000

say "Done in $((SECONDS - started)) s. Videos: $RUN/videos. Model card: $RUN/README.md"
