#!/bin/bash
#PBS -N over
#PBS -l walltime=00:00:03
sleep 100
