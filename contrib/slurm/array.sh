#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#SBATCH --job-name=lguest-farm
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --open-mode=append
#
# One element of a job array: runs the guests of one task of a farm. lguest-farm submit passes this
# script to sbatch, with the limits and the elements; --requeue lets Slurm run an element again if
# its node dies. Guests that have a verdict by then are not run again.
#
# Arguments: the directory of lguest-farm, the directory of the farm, the first task of this array.
set -u
exec python3 "$1/lguest-farm" task "$2" "$(($3 + SLURM_ARRAY_TASK_ID))"
