"""srun's options, and the variables that stand for some of them.

Those that matter to an allocation only do nothing in a job that there is, as in Slurm.
"""

from __future__ import annotations

from simcluster.emulated.slurm.options import table

__all__ = ["TABLE", "VARIABLES"]

TABLE = table(
    "srun",
    stops_early=True,
    flags="""contiguous disable-status/X exact hold/H label/l overcommit/O oversubscribe/s overlap quiet/Q
    quit-on-interrupt test-only unbuffered/u version/V""",
    optional="exclusive immediate/I kill-on-bad-exit/K nice",
    valued="""account/A begin/b chdir/D comment constraint/C cpu-bind cpus-per-task/c dependency/d error/e
    exclude/x export gpus/G gpus-per-node gpus-per-task gres input/i job-name/J jobid licenses/L mail-type mail-user
    mem mem-per-cpu nodelist/w nodes/N ntasks/n ntasks-per-node open-mode output/o partition/p priority
    qos/q reservation signal time/t wait/W wckey""",
    refused="""acctg-freq= bb= bbf= bcast= bell clusters/M= cluster-constraint= compress= container= core-spec/S=
    cores-per-socket= cpu-freq= cpus-per-gpu= deadline= delay-boot= distribution/m= epilog= export-file= extra-node-info/B= gid=
    gpu-bind= gpu-freq= gpus-per-socket= gres-flags= help/h hint= interactive het-group= mcs-label= mem-bind= mem-per-gpu=
    mincpus= mpi= msg-timeout= multi-prog network= no-allocate/Z no-bell no-kill/k nodefile/F= ntasks-per-core= ntasks-per-gpu=
    ntasks-per-socket= power= preserve-env/E profile= prolog= propagate= pty reboot relative/r= send-libs slurmd-debug=
    sockets-per-node= spread-job switches= task-epilog= task-prolog= thread-spec= threads/T= threads-per-core= time-min= tmp=
    tres-per-task= uid= usage use-min-nodes verbose/v whole""",
)

VARIABLES = {
    "SLURM_ACCOUNT": "account",
    "SLURM_EXACT": "exact",
    "SLURM_EXPORT_ENV": "export",
    "SLURM_JOB_ID": "jobid",
    "SLURM_KILL_BAD_EXIT": "kill-on-bad-exit",
    "SLURM_LABELIO": "label",
    "SLURM_NTASKS": "ntasks",
    "SLURM_NNODES": "nodes",
    "SLURM_OPEN_MODE": "open-mode",
    "SLURM_OVERLAP": "overlap",
    "SLURM_OVERCOMMIT": "overcommit",
    "SLURM_PARTITION": "partition",
    "SLURM_QOS": "qos",
    "SLURM_STDERRMODE": "error",
    "SLURM_STDINMODE": "input",
    "SLURM_STDOUTMODE": "output",
    "SLURM_TIMELIMIT": "time",
    "SLURM_UNBUFFEREDIO": "unbuffered",
    "SLURM_WAIT": "wait",
    "SLURM_WORKING_DIR": "chdir",
    "SRUN_CPUS_PER_TASK": "cpus-per-task",
}
