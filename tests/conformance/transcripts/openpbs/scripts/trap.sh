#!/bin/bash
#PBS -N trap
trap "echo got TERM; exit 7" TERM
echo start
while :; do sleep 0.2; done
