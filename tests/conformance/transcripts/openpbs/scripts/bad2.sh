#!/bin/bash
#PBS -Z foo
true
