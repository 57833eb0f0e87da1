#!/bin/bash
#PBS --nope
true
