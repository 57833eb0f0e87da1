#!/bin/bash
#PBS -N segv
sh -c 'kill -SEGV $$'
