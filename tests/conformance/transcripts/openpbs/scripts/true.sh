#!/bin/bash
#PBS -N t
true
