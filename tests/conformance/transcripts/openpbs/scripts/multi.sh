#!/bin/bash
#PBS -N multi
#PBS -l select=2:ncpus=2:mpiprocs=2:mem=256mb
#PBS -l place=scatter
cat $PBS_NODEFILE; env | grep -E "PBS|NCPUS|OMP"; pbsdsh -- hostname
