#!/bin/bash
#PBS hello
true
