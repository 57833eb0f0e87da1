#!/bin/bash
#PBS -N envjob
#PBS -l select=1:ncpus=2:mem=512mb
#PBS -l walltime=00:05:00
#PBS -j oe
#PBS -o env.out
env | sort
echo "--- pwd: $(pwd)  host: $(hostname)  0=$0 args=$*"
echo "--- umask: $(umask); ulimit: $(ulimit -s -H | tail -1) $(ulimit -v)"
echo "--- nodefile: $PBS_NODEFILE"
cat "$PBS_NODEFILE"
