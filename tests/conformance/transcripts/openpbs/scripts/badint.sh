#!/no/such/interp
#PBS -N badint
echo hi
