#!/bin/bash
#PBS -N ignore
trap "echo ignored TERM" TERM
echo start
while :; do sleep 0.2; done
