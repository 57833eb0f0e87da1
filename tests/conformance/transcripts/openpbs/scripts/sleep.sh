#!/bin/bash
#PBS -N sleeper
sleep 600
