#!/bin/bash
json=$(qstat -f -F json $1)
LC_ALL=C.UTF-8 python3 -c '
import json, sys
job = next(iter(json.loads(sys.argv[1])["Jobs"].values()))
names = ("Job_Name", "Account_Name", "project", "Submit_arguments", "comment")
own = {k: v for k, v in job["Variable_List"].items() if not k.startswith("PBS_O")}
print("VALID", {name: job.get(name) for name in names}, own)
' "$json"
grep -E '"(Job_Name|Account_Name|Submit_arguments|project|NL|[A-Z])":' <<< "$json"
