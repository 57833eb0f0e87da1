#!/bin/bash
#PBS -N multi2
#PBS -l nodes=2:ppn=2
cat $PBS_NODEFILE; env | grep -E "NCPUS|OMP"
