"""Where the emulated and the native Slurm are known to differ from the one in containers, and why they may."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EMULATED", "NATIVE", "Known"]


@dataclass(frozen=True)
class Known:
    """The answer to one command of a scenario differs, for a reason that its user would accept."""

    scenario: str
    command: str
    reason: str


_SINFO = "sinfo puts nodes of several partitions in one line where nothing shown tells them apart; the emulated one keeps a line for each partition"
_ARRAY = (
    "An element of a waiting array is a record of its own from the beginning, in real Slurm from when it is touched"
)
_REFUSED = "What is not emulated is refused as an unknown option or word is, and named in the log; what follows from that differs too"
_MALFORMED = "Malformed lists, formats and ids are read by slips of C's string functions, which nobody can rely on"
_WORDS = "The same refusal or note, in other words or with a line more or less"
_SPOOL = "A job's script lies in the cluster's own directory instead of /var/spool/slurmd"
_OOM = "In containers without cgroups slurmd polls the memory and reports the kill as a failed launch; the emulated cluster reports OUT_OF_MEMORY, as slurmd with cgroups does"
_ESTIMATE = "What a waiting job would get is an estimate, made at another moment"
_ROOM = "The emulated scheduler keeps more jobs, for virtual loads of 100,000"
_ORDER = (
    "Keys to sort by that name no field are refused by Slurm, and lines that are equal by a key come in another order"
)
_STOPPED = "A job whose processes were stopped by a signal is not told apart from one that runs"
_PID = "A job or task is not told the number of its first process, nor the port that its srun listens on"
_ENV = "The commands are Python programs that need a locale, and processes are found again by a variable"
_OPERATOR = "Slurm runs as the user of a native cluster, who is therefore its administrator"
_PLACE = "All of a native cluster's files are in its own directory"
_ADDRESS = "All of a native cluster's machines have the address of this computer, and ports of their own"

EMULATED: tuple[Known, ...] = (
    Known("GPUs are counted", "sinfo -h -o '%N %G'", _SINFO),
    Known("sinfo", "sinfo -h -t idle -o %N", _SINFO),
    Known("sinfo", "sinfo -h -t down -o %N", _SINFO),
    Known("array: a limit of one at a time", "squeue -h -t PD,R -j @a -o '%i %T' | sort", _ARRAY),
    Known(
        "bad durations of delays",
        "sbatch --parsable -H --deadline abc --wrap true > id; e=$?; [ $e = 0 ] && scancel $(cat id); exit $e",
        _REFUSED,
    ),
    Known(
        "bad durations of delays",
        "sbatch --parsable -H --time-min abc --wrap true > id; e=$?; [ $e = 0 ] && scancel $(cat id); exit $e",
        _REFUSED,
    ),
    Known(
        "bad durations of delays",
        "sbatch --parsable -H --time-min 5 --wrap true > id; e=$?; [ $e = 0 ] && scancel $(cat id); exit $e",
        _REFUSED,
    ),
    Known("cancel interactively", "echo n | scancel -i @a", _REFUSED),
    Known("cancel interactively", "echo y | scancel -i @a", _REFUSED),
    Known("end: a deadline that can't be met", "sbatch --deadline=now+1minute -t 10 --wrap true", _REFUSED),
    Known("end: a deadline that can't be met", "sbatch --parsable -H --deadline=now+1hour -t 1 --wrap true", _REFUSED),
    Known("end: a deadline that can't be met", "scontrol show job @a | grep -o Deadline=.*", _REFUSED),
    Known(
        "option licence, constraint and others",
        "sbatch --parsable -H --contiguous -k --spread-job --wrap true",
        _REFUSED,
    ),
    Known("option licence, constraint and others", "scontrol show job @a | grep -E 'Contiguous|Partition'", _REFUSED),
    Known("sacctmgr and sshare, as clients call them", "sshare -n -P -U -u $(id -un) -o account,user", _REFUSED),
    Known("sinfo", "sinfo -h -e -o '%n %e' | wc -l", _REFUSED),
    Known("update a pending job", "scontrol update jobid=@a requeue=0 features=nothing", _REFUSED),
    Known("update a pending job", "scontrol update jobid=@a mincpusnode=2", _REFUSED),
    Known("update a pending job", "scontrol show job @a | grep -E 'Requeue|MinCPUs'", _REFUSED),
    Known("update what can't be", "scontrol update nonsense=1", _REFUSED),
    Known("write the batch script", "scontrol write batch_script @a; ls | cat", _REFUSED),
    Known("write the batch script", "scontrol write batch_script @a mine.sh; cat mine.sh", _REFUSED),
    Known("write the batch script", "scontrol write batch_script 999999", _REFUSED),
    Known(
        "bad numbers of nodes",
        "sbatch --parsable -H -N 0 --wrap true > id; e=$?; [ $e = 0 ] && scancel $(cat id); exit $e",
        _MALFORMED,
    ),
    Known("ids that are none", "squeue -j 1_x", _MALFORMED),
    Known("scontrol show hostnames and hostlist", "scontrol show hostnames 'node[1-'", _MALFORMED),
    Known("scontrol show hostnames and hostlist", "scontrol show hostnames", _MALFORMED),
    Known("scontrol show hostnames and hostlist", "SLURM_JOB_NODELIST=node[1-2] scontrol show hostnames", _MALFORMED),
    Known("scontrol show hostnames and hostlist", "scontrol show hostlist b,a,a", _MALFORMED),
    Known("scontrol show hostnames and hostlist", "scontrol show hostlistsorted b2,a1,a2,a2", _MALFORMED),
    Known("squeue -o: widths and sides", "squeue -j @a -o '[%6j] [%.6j] [%2j] [%.2j] [%%] [%j'", _MALFORMED),
    Known("unusual names", "squeue -h -t all -j @c -o '[%j] [%.4j]'", _MALFORMED),
    Known("bad options of sinfo", "sinfo -t nonsense", _WORDS),
    Known("ids that nobody has", "scontrol suspend 999999", _WORDS),
    Known("squeue of a held job", "squeue -v -j @a 2>/dev/null | head -1", _WORDS),
    Known("submit --test-only", "sbatch --test-only -p nowhere --wrap true", _WORDS),
    Known("too much memory", "sbatch --mem-per-cpu 999G --wrap true", _WORDS),
    Known("update a running job", "scontrol update jobid=@a numnodes=2", _WORDS),
    Known("what is an operator's to update", "scontrol update jobid=@a priority=99999", _WORDS),
    Known("end: exit 127", "cat slurm-@a.out", _SPOOL),
    Known("signal by number and by long name", "cat slurm-@a.out", _SPOOL),
    Known("the job's working directory and name of script", "cat slurm-@a.out", _SPOOL),
    Known("end: out of memory", "squeue -h -t all -j @a -o %T", _OOM),
    Known("end: out of memory", "squeue -h -t all -j @a -o '%T %t %r'", _OOM),
    Known("end: out of memory", "scontrol show job @a | grep -oE 'JobState=.*|ExitCode=.*|Requeue=.*'", _OOM),
    Known("end: out of memory", "sacct -n -X -P -j @a -o state,end", _OOM),
    Known(
        "end: out of memory",
        "sacct -n -P -j @a -o jobid,state,exitcode,derivedexitcode | sed 's/by [0-9]*/by N/'",
        _OOM,
    ),
    Known("option CPUs per task", "scontrol show job @a | grep -E 'NumNodes|TRES=|MinCPUs|Socks'", _ESTIMATE),
    Known("option time to begin", "scontrol show job @a | grep -E 'JobState|RunTime|Deadline'", _ESTIMATE),
    Known(
        "scontrol show config",
        "scontrol show config | grep -E '^(MinJobAge|MaxArraySize|KillWait|ReturnToService|EnforcePartLimits|JobRequeue|SlurmctldTimeout|AccountingStorageType|SelectType|SchedulerType|SLURM_VERSION|ClusterName|MaxJobCount)'",
        _ROOM,
    ),
    Known("squeue sorted", "squeue -h -j @a,@b,@c -o '%i %j %P' -S nonsense", _ORDER),
    Known("squeue sorted", "squeue -h -j @a,@b,@c -o '%i %j %P' -S t", _ORDER),
    Known("stop and continue", "squeue -h -j @a -o %T", _STOPPED),
    Known("the job's variables", "cat vars.txt", _PID),
    Known("the job's variables with --ntasks-per-node, --mem and --gres", "cat v", _PID),
    Known("the job's variables with tasks, CPUs, memory and nodes", "cat vars.txt", _PID),
    Known("variables of a task", "sed -E 's/(PORTS?|PID)=.*/\\1=N/' o", _PID),
    Known("without accounting: the job's variables", "cat v", _PID),
    Known("the rest of the job's environment", "sed 's/_PROCESS=.*/_PROCESS=N/' env.txt", _ENV),
)

NATIVE: tuple[Known, ...] = (
    Known("a scheduler that is down", "scontrol ping; echo $?", _OPERATOR),
    Known("hold a running job", "squeue -h -j @a -o '%T %r'", _OPERATOR),
    Known("hold and release", "squeue -h -j @a -o '%T %r'", _OPERATOR),
    Known(
        "hold and release",
        "scontrol show job @a | grep -oE 'Priority=0|JobState.*Reason=[A-Za-z]*'",
        _OPERATOR,
    ),
    Known("hold by name and several at once", "squeue -h -j @a,@b -o %r", _OPERATOR),
    Known("end: exit 127", "cat slurm-@a.out", _PLACE),
    Known("signal by number and by long name", "cat slurm-@a.out", _PLACE),
    Known("the job's working directory and name of script", "cat slurm-@a.out", _PLACE),
    Known(
        "directives",
        "scontrol show job @a | grep -E 'JobName|TimeLimit|Partition|NumTasks|Mem|Comment|StdOut'",
        _ADDRESS,
    ),
    Known("option licence, constraint and others", "scontrol show job @a | grep -E 'Contiguous|Partition'", _ADDRESS),
    Known("option none", "scontrol show job @a", _ADDRESS),
    Known("option several partitions", "scontrol show job @a | grep -E 'Partition'", _ADDRESS),
    Known("option signal", "scontrol show job @a", _ADDRESS),
    Known("scontrol show job, completed", "scontrol show job @a | grep -v -e AccrueTime -e EligibleTime", _ADDRESS),
    Known("scontrol show job, held", "scontrol show job @a", _ADDRESS),
    Known("scontrol show job, held", "scontrol -o show job @a", _ADDRESS),
    Known("scontrol show job, running", "scontrol show job @a", _ADDRESS),
    Known("scontrol show node", "scontrol show node node1 | grep -v -E 'Time|OS=|Load|FreeMem'", _ADDRESS),
    Known("the job's variables", "cat vars.txt", _ADDRESS),
    Known("the job's variables with --ntasks-per-node, --mem and --gres", "cat v", _ADDRESS),
    Known("the job's variables with tasks, CPUs, memory and nodes", "cat vars.txt", _ADDRESS),
    Known("without accounting: the job's variables", "cat v", _ADDRESS),
)
