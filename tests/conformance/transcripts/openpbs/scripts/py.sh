#!/usr/bin/env python3
#PBS -N pyjob
import os
import sys
print(sys.version_info[:2], os.environ["PBS_JOBID"])
