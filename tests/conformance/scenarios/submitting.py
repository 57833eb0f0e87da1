"""Jobs on their way in: scripts, directives, variables, files."""

from __future__ import annotations

from conformance.scenarios.phrases import ended, scenario, submit
from conformance.stage import Run

__all__ = ["SCENARIOS"]

_HELLO = "printf '#!/bin/bash\\necho hello $(basename $0) $# \"$2\"\\n' > hello.sh"
_FACTS = "scontrol show job @a | grep -E 'JobName|JobState|Command|WorkDir|Std|Comment'"


def _script(name: str, *lines: str) -> str:
    return f"cat > {name} <<'END'\n" + "\n".join(("#!/bin/bash", *lines)) + "\nEND"


SCENARIOS = (
    scenario("submit a script", _HELLO, Run("sbatch hello.sh", "a"), ended("a"), "cat slurm-@a.out", _FACTS),
    scenario(
        "submit a script with arguments",
        _HELLO,
        submit("a", "hello.sh one 'two three' --four"),
        ended("a"),
        "cat slurm-@a.out",
        _FACTS,
    ),
    scenario(
        "submit by absolute path from elsewhere",
        _HELLO,
        Run('d=$PWD; mkdir sub; cd sub; sbatch --parsable "$d"/hello.sh', "a"),
        ended("a"),
        "ls . sub; cat sub/slurm-@a.out",
        _FACTS,
    ),
    scenario(
        "submit from stdin",
        Run("printf '#!/bin/bash\\necho from stdin\\n' | sbatch", "a"),
        ended("a"),
        "cat slurm-@a.out",
        _FACTS,
    ),
    scenario(
        "submit /dev/stdin", _HELLO, Run("sbatch /dev/stdin < hello.sh", "a"), ended("a"), "cat slurm-@a.out", _FACTS
    ),
    scenario("submit --wrap", Run("sbatch --wrap 'cat $0'", "a"), ended("a"), "cat slurm-@a.out", _FACTS),
    scenario("submit --wrap with a script", _HELLO, "sbatch --wrap true hello.sh", "sbatch --wrap true extra"),
    scenario("submit quietly", Run("sbatch -Q --wrap true"), "sbatch --quiet --wrap true"),
    scenario("submit --parsable with cluster", submit("a", "--wrap true"), ended("a")),
    scenario(
        "submit --test-only",
        "sbatch --test-only --wrap true 2>&1 | sed 's/Job [0-9]*/Job N/; s/at [^ ]* using/at then using/'",
        "sbatch --test-only -p nowhere --wrap true",
        "sbatch --test-only -n 99 --wrap true",
        "ls",
    ),
    scenario("submit --wait that completes", Run("sbatch --wait --wrap true", "a"), ended("a")),
    scenario("submit --wait that fails", Run("sbatch --wait --wrap 'exit 7'", "a"), ended("a")),
    scenario("submit --wait that is killed", Run("sbatch --wait --wrap 'kill -9 $$'", "a"), ended("a")),
    scenario(
        "directives",
        _script(
            "job.sh",
            '#SBATCH --job-name="quoted name"',
            "#SBATCH -p long",
            "#SBATCH --time=0-00:10",
            "#SBATCH -n 2 -c1",
            "#SBATCH --output=%x-%j.out   # trailing",
            "  #SBATCH --comment=indented",
            '#SBATCH --comment "a b #c"',
            "##SBATCH --mem=1",
            "# SBATCH --mem=2",
            "",
            "echo body $SLURM_NTASKS",
            "#SBATCH --mem=77",
        ),
        submit("a", "job.sh"),
        ended("a"),
        "ls; cat 'quoted name-@a.out'",
        "scontrol show job @a | grep -E 'JobName|TimeLimit|Partition|NumTasks|Mem|Comment|StdOut'",
    ),
    scenario(
        "the command line wins over directives",
        _script("job.sh", "#SBATCH -J script -o script.out -t 5", "echo $SLURM_JOB_NAME"),
        submit("a", "-J line -o line.out job.sh"),
        ended("a"),
        "cat line.out; squeue -h -t all -j @a -o '%j %l'",
    ),
    scenario(
        "variables win over directives, the command line over both",
        _script("job.sh", "#SBATCH -J script -t 5 --comment script", "true"),
        Run("SBATCH_JOB_NAME=env SBATCH_TIMELIMIT=6 sbatch --parsable -t 7 job.sh", "a"),
        ended("a"),
        "squeue -h -t all -j @a -o '%j %l'",
    ),
    scenario(
        "a directive that nobody knows",
        _script("job.sh", "#SBATCH --nonsense=1", "true"),
        "sbatch job.sh",
        _script("job.sh", "#SBATCH --job-name a b", "true"),
        "sbatch job.sh",
    ),
    scenario(
        "input variables",
        Run("SBATCH_PARTITION=long SBATCH_OUTPUT=env-%j.txt sbatch --parsable --wrap 'echo $SLURM_JOB_PARTITION'", "a"),
        ended("a"),
        "cat env-@a.txt",
        "SBATCH_PARTITION=nowhere sbatch --wrap true",
    ),
    scenario(
        "--export forms",
        Run("A=1 B=2 sbatch --parsable --wait --wrap 'echo A=$A B=$B' -o all.txt", "a"),
        Run("A=1 B=2 sbatch --parsable --wait --export=NONE --wrap 'echo A=$A B=$B' -o none.txt", "b"),
        Run("A=1 B=2 sbatch --parsable --wait --export=A --wrap 'echo A=$A B=$B' -o one.txt", "c"),
        Run("A=1 B=2 sbatch --parsable --wait --export=ALL,A=9,C=x --wrap 'echo $A $B $C' -o more.txt", "d"),
        Run("A=1 B=2 sbatch --parsable --wait --export=NIL --wrap 'echo A=$A B=$B' -o nil.txt", "e"),
        Run("A=1 B=2 SBATCH_EXPORT=B sbatch --parsable --wait --wrap 'echo A=$A B=$B' -o env.txt", "f"),
        "for f in all none one more nil env; do echo $f: $(cat $f.txt); done",
    ),
    scenario(
        "names of output files",
        submit("a", "-J nm -o '%x_%j_%J_%N_%n_%t_%%_%5j.txt' --wrap true"),
        ended("a"),
        "ls | cat",
        submit("b", "-o out.%j -e err.%j --wrap 'echo out; echo err >&2'"),
        ended("b"),
        "cat out.@b; echo -; cat err.@b",
        submit("c", "-o 'raw\\%j.txt' --wrap true"),
        ended("c"),
        "ls | grep raw",
    ),
    scenario(
        "output and error in one file",
        submit("a", "--wrap 'echo out; echo err >&2'"),
        ended("a"),
        "cat slurm-@a.out",
    ),
    scenario(
        "open-mode",
        "for f in append truncate default; do echo before > $f; done",
        Run("sbatch --parsable -W --open-mode=append -o append --wrap 'echo after'", "a"),
        Run("sbatch --parsable -W --open-mode=truncate -o truncate --wrap 'echo after'", "b"),
        Run("sbatch --parsable -W -o default --wrap 'echo after'", "c"),
        "head append truncate default",
        "sbatch --open-mode=sideways --wrap true",
    ),
    scenario(
        "output to a directory that is not there",
        submit("a", "-o nowhere/%j.out --wrap true"),
        ended("a"),
        "scontrol show job @a | grep -oE 'JobState.*Reason=[A-Za-z]*|ExitCode=.*'",
    ),
    scenario(
        "input",
        "echo something > in.txt",
        submit("a", "-i in.txt --wrap cat"),
        submit("b", "--wrap 'cat; readlink /proc/self/fd/0'"),
        ended("a"),
        ended("b"),
        "cat slurm-@a.out slurm-@b.out",
        submit("c", "-i missing.txt --wrap cat"),
        ended("c"),
        "squeue -h -t all -j @c -o '%T %r'",
    ),
    scenario(
        "chdir",
        "mkdir there",
        submit("a", "-D there --wrap pwd"),
        Run('sbatch --parsable -D "$PWD/there" -o abs.txt --wrap pwd', "b"),
        ended("a"),
        ended("b"),
        "cat there/slurm-@a.out there/abs.txt",
    ),
    scenario(
        "chdir to what is not there",
        submit("a", "-D /nowhere -o there.txt --wrap pwd"),
        ended("a"),
        "squeue -h -t all -j @a -o '%T %r'",
    ),
    scenario(
        "umask and limits travel along",
        Run("umask 027; sbatch --parsable --wrap 'umask; touch made; ulimit -c'", "a"),
        ended("a"),
        "cat slurm-@a.out; stat -c %a made slurm-@a.out",
    ),
    scenario(
        "the job's variables",
        submit("a", "-J vars --wrap 'env | grep ^SLURM | sort' -o vars.txt"),
        ended("a"),
        "cat vars.txt",
    ),
    scenario(
        "the job's variables with tasks, CPUs, memory and nodes",
        submit("a", "-N 2 -n 4 -c 2 --mem-per-cpu 100 -t 10 -p long --wrap 'env | grep ^SLURM | sort' -o vars.txt"),
        ended("a"),
        "cat vars.txt",
    ),
    scenario(
        "the job's variables with --ntasks-per-node, --mem and --gres",
        submit(
            "a", "--ntasks-per-node 2 --mem 300 --gres gpu:1 --wrap 'env | grep -E ^SLURM.\\|GPU\\|CUDA | sort' -o v"
        ),
        ended("a"),
        "cat v",
    ),
    scenario(
        "the rest of the job's environment",
        Run(
            "env -i HOME=$HOME PATH=$PATH USER=$USER ${SLURM_CONF:+SLURM_CONF=$SLURM_CONF} WORD='a b' sbatch --parsable --wrap 'env | grep -v ^SLURM "
            '| grep -vE "^(_|SHLVL|OLDPWD|PWD|PATH)=" | sort\' -o env.txt',
            "a",
        ),
        ended("a"),
        "sed 's/_PROCESS=.*/_PROCESS=N/' env.txt",
    ),
    scenario(
        "the job's working directory and name of script",
        submit("a", "--wrap 'pwd; echo $0; hostname; echo $SHLVL $PWD'"),
        ended("a"),
        "cat slurm-@a.out",
    ),
    scenario(
        "scripts of other languages",
        "printf '#!/usr/bin/env python3\\nprint(6 * 7)\\n' > job.py; printf '#!/bin/sh\\necho sh\\n' > job",
        submit("a", "job.py"),
        submit("b", "job"),
        ended("a"),
        ended("b"),
        "cat slurm-@a.out slurm-@b.out; squeue -h -t all -j @a,@b -o %j | sort",
    ),
    scenario(
        "a script is copied when it is submitted",
        "printf '#!/bin/bash\\necho first\\n' > job.sh",
        submit("a", "-H job.sh"),
        "rm job.sh",
        "scontrol release @a",
        ended("a"),
        "cat slurm-@a.out",
    ),
    scenario(
        "a job that leaves a background process",
        submit("a", "--wrap 'sleep 300 > /dev/null 2>&1 & echo done'"),
        ended("a"),
        "cat slurm-@a.out",
    ),
    scenario(
        "output is there while the job runs",
        submit("a", "--wrap 'echo early; exec sleep 300'"),
        Run("until grep -q early slurm-@a.out 2>/dev/null; do sleep 0.1; done; cat slurm-@a.out"),
        "squeue -h -j @a -o %T",
    ),
    scenario(
        "unusual names",
        submit("a", "-J 'a/b c;d|e' --comment 'x|y' --wrap true"),
        ended("a"),
        "squeue -h -t all -j @a -o '%j'",
        "ls | cat",
        submit("b", "-J '' --wrap true"),
        ended("b"),
        "squeue -h -t all -j @b -o '[%j]'",
        submit("c", "-J ünïcode --wrap true"),
        ended("c"),
        "squeue -h -t all -j @c -o '[%j] [%.4j]'",
    ),
)
