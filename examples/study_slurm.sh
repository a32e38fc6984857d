#!/usr/bin/env bash
# A study on a SLURM cluster: one Dask worker of one thread per task.
#
#   sbatch examples/study_slurm.sh init-gain --seeds 20 --out runs/init-gain
#
# The arguments are those of `spikelearn study`. A job that ran out of time, or was
# cancelled, is continued by submitting it again. The environment of spikelearn (with
# the extra `dask`) has to be active when this is submitted; adapt the lines below.
#
#SBATCH --job-name=spikelearn-study
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=08:00:00
set -euo pipefail

# Workers find the scheduler by this file: it lies where all nodes see it.
scheduler_file="$PWD/scheduler-${SLURM_JOB_ID:?is set by sbatch}.json"

# Kernels are compiled once on each node, before the workers start.
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 spikelearn warm-up

# Dask blames all calls that a worker was given for its death, so each gets one.
export DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION=1.0
export DASK_LOGGING__DISTRIBUTED=error
dask scheduler --scheduler-file "$scheduler_file" --port 0 --no-dashboard &
scheduler=$!

# Libraries read their number of threads when they are loaded.
export MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
srun dask worker --scheduler-file "$scheduler_file" --nworkers 1 --nthreads 1 \
  --no-dashboard --local-directory "${TMPDIR:-/tmp}" &
workers=$!

finish() { # the scheduler last, or workers look for it
  kill "$workers" && wait "$workers" || true
  kill "$scheduler" || true
  rm -f "$scheduler_file"
}
trap finish EXIT

spikelearn study "$@" --executor dask --scheduler-file "$scheduler_file"
