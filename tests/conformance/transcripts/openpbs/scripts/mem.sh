#!/bin/bash
#PBS -N mem
#PBS -l select=1:ncpus=1:mem=100mb
python3 -c "import time; x=bytearray(300<<20); time.sleep(600)"
