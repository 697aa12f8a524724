"""One thread a process: the suite runs several processes side by side, and threads that wait for
one another's cores make each of them many times slower."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
