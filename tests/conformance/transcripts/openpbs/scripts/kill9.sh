#!/bin/bash
#PBS -N kill9
kill -9 $$
