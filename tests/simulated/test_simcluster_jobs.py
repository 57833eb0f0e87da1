from simcluster import Job
from simcluster.slurm.jobs import parse_jobs

# Slurm 22.05.8: jobcomp/filetxt, and `scontrol --oneliner show job`.
LOG = (
    "JobId=2 UserId=alice(1000) GroupId=alice(1000) Name=two words = one JobState=FAILED Partition=debug TimeLimit=UNLIMITED"
    " StartTime=2026-01-01T00:00:01 EndTime=2026-01-01T00:00:02 NodeList=node1 NodeCnt=1 ProcCnt=1 WorkDir=/home/alice"
    " ReservationName= Tres=cpu=1,mem=1G,node=1,billing=1 Account= QOS= WcKey= Cluster=unknown"
    " SubmitTime=2026-01-01T00:00:00 EligibleTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=3:0 \n"
    "JobId=11 ArrayJobId=10 ArrayTaskId=1 UserId=alice(1000) GroupId=alice(1000) Name=wrap JobState=COMPLETED"
    " Partition=debug TimeLimit=UNLIMITED StartTime=2026-01-01T00:00:01 EndTime=2026-01-01T00:00:02 NodeList=node2"
    " NodeCnt=1 ProcCnt=1 WorkDir=/home/alice SubmitTime=2026-01-01T00:00:00 DerivedExitCode=0:0 ExitCode=0:0 \n"
)
SHOWN = (
    "JobId=3 JobName=wait UserId=alice(1000) GroupId=alice(1000) MCS_label=N/A Priority=4294901759 JobState=PENDING"
    " Reason=Resources Dependency=(null) ExitCode=0:0 SubmitTime=2026-01-01T00:00:03 StartTime=Unknown EndTime=Unknown"
    " NodeList=(null) NumNodes=1 \n"
)


def test_finished_jobs_come_from_the_log_and_others_from_scontrol():
    assert parse_jobs(LOG, SHOWN) == [
        Job(
            "2",
            "two words = one",
            "FAILED",
            "node1",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:01",
            "2026-01-01T00:00:02",
            "3:0",
            "/home/alice",
        ),
        Job("3", "wait", "PENDING", None, "2026-01-01T00:00:03", None, None, "0:0"),
        Job(
            "10_1",
            "wrap",
            "COMPLETED",
            "node2",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:01",
            "2026-01-01T00:00:02",
            "0:0",
            "/home/alice",
        ),
    ]


def test_a_requeued_job_is_as_it_is_now():
    lost = LOG.splitlines()[0].replace("FAILED", "NODE_FAIL")
    again = "JobId=2 JobName=x JobState=PENDING Reason=BeginTime SubmitTime=2026-01-01T00:00:09 StartTime=Unknown EndTime=Unknown"
    assert [job.state for job in parse_jobs(lost, again)] == ["PENDING"]


def test_no_jobs():
    assert parse_jobs("", "No jobs in the system\n") == []
