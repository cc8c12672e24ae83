#!/usr/bin/env bash
# docs/roundtrip.sbatch under a real SLURM: a controller and two nodes on this machine, with keys, ports and folders of
# their own, in /tmp. The batch script is submitted as it stands in docs/ but for the lines between its dashes, and gets
# SIGUSR1: it must leave with a checkpoint, submit itself again, and end with the bytes of one process. Also looked at: srun
# without PMI is refused, a step of one task runs, a killed rank ends its job and nothing is lost.
# Usage: slurm_test.sh PROGRAM SBATCH. Exit status 77: not root, or no SLURM (packages slurmctld, slurmd, munge).
set -euo pipefail
program=$(readlink -f "$1")
script=$(readlink -f "$2")
for needed in slurmctld slurmd munged srun sbatch; do
  command -v "$needed" >/dev/null || { echo "skipped: no $needed"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: SLURM's daemons want root"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none

work=$(mktemp -d /tmp/roundtrip-slurm.XXXXXX)
chmod 755 "$work"
daemons=()
finish() {
  scancel --quiet --user=root --signal=KILL 2>/dev/null || true
  for pid in "${daemons[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  sleep 1
  for pid in "${daemons[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  pkill -KILL -f "munged.*$work" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
fail() {
  echo "FAILED: $*" >&2
  tail -n 8 "$work"/*.log "$work"/jobs/*.out >&2 2>/dev/null || true
  exit 1
}

mkdir -p "$work"/{munge,state,spool-rt1,spool-rt2,tmp-rt1,tmp-rt2,jobs}
chown root:root "$work/munge"
dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none
chmod 400 "$work/munge/key"
munged --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
  --log-file="$work/munge.log" --seed-file="$work/munge/seed" --force
daemons+=("$(cat "$work/munge/pid")")

cores=$(nproc)
first_port=$((20000 + $$ % 20000))
cat >"$work/slurm.conf" <<CONF
ClusterName=roundtrip
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmctldPort=$first_port
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
TmpFS=$work/tmp-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=5
KillWait=10
MailProg=/bin/true
NodeName=rt1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((first_port + 1)) CPUs=$cores
NodeName=rt2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((first_port + 2)) CPUs=$cores
PartitionName=all Nodes=rt1,rt2 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -D >/dev/null 2>"$work/slurmctld-err.log" &
daemons+=($!)
for node in rt1 rt2; do
  slurmd -D -N "$node" >/dev/null 2>"$work/slurmd-$node-err.log" &
  daemons+=($!)
done
for ((waited = 0; ; ++waited)); do
  [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" -eq 2 ] && break
  [ "$waited" -lt 60 ] || fail "no two idle nodes within a minute: $(sinfo -N 2>&1)"
  sleep 1
done
echo "RESULT $(slurmctld -V): two nodes of $cores cores"
cd "$work/jobs"

# A step of one task and a step under PMIx run; a step of two tasks without PMI is refused by both tasks.
"$program" run k_hop --n 30000 --param k=4 --quiet --output "$work/one"
srun -n 1 "$program" run k_hop --n 30000 --param k=4 --quiet --output "$work/step"
cmp "$work/one" "$work/step"
srun --mpi=pmix -N 2 -n 2 "$program" run k_hop --n 30000 --param k=4 --quiet --output "$work/step" --json "$work/step.json"
cmp "$work/one" "$work/step"
grep -q '"ranks": 2' "$work/step.json" || fail "a step of two tasks under PMIx is not two ranks"
echo "RESULT srun --mpi=pmix on two nodes: equal to one process"
status=0
srun --mpi=none -n 2 "$program" run sum --n 100 >"$work/out" 2>"$work/err" || status=$?
[ "$status" -eq 2 ] && [ ! -s "$work/out" ] && grep -q '^roundtrip: error: ' "$work/err" ||
  fail "srun --mpi=none -n 2: status $status, $(cat "$work/out" "$work/err")"
echo "RESULT srun without PMI: refused with status 2"

# The batch script as documented, on two nodes. SIGUSR1 comes by scancel, as soon as there is a checkpoint, and not by the
# time limit, which SLURM keeps to the minute only; it goes to the step, as that of `--signal` does.
run=(run k_hop --n 2000000 --param k=8 --quiet)
"$program" "${run[@]}" --output "$work/whole"
cat >"$work/dashes" <<DASHES
#SBATCH --job-name=roundtrip
#SBATCH --nodes=2
#SBATCH --ntasks=2
#SBATCH --time=00:10:00
#SBATCH --signal=USR1@120
#SBATCH --open-mode=append
#SBATCH --output=$work/jobs/job.out
run=($program ${run[*]} --output $work/jobs/out --json $work/jobs/facts.json)
kept=$work/jobs/checkpoints
every=1
DASHES
awk -v dashes="$work/dashes" '
  /^# ----$/ { print; inside = !inside; if (inside) while ((getline line < dashes) > 0) print line; next }
  !inside' "$script" >"$work/jobs/roundtrip.sbatch"
grep -q 'srun --mpi=pmix' "$work/jobs/roundtrip.sbatch" || fail "the batch script has lost its srun"
until_true() { # WHAT COMMAND..
  local waited=0
  until "${@:2}"; do
    waited=$((waited + 1))
    [ "$waited" -lt 1200 ] || fail "$1: not within two minutes; $(squeue 2>&1)"
    sleep 0.1
  done
}
checkpoint_stands() { compgen -G "$work/jobs/checkpoints/manifest-*" >/dev/null; }
nothing_queued() { [ -z "$(squeue -h)" ]; }
job=$(sbatch --parsable "$work/jobs/roundtrip.sbatch")
until_true "the first checkpoint" checkpoint_stands
scancel --signal=USR1 "$job"
until_true "the jobs' end" nothing_queued
grep -q 'Submitted batch job' job.out || fail "the job did not submit itself again: $(cat job.out)"
cmp "$work/whole" out
echo "RESULT docs/roundtrip.sbatch: left at SIGUSR1, submitted itself, the same bytes as one process"

# A rank is killed: its step ends as a whole, and the job, submitted by hand again, goes on from its checkpoints.
rm -rf out checkpoints
sbatch --parsable "$work/jobs/roundtrip.sbatch" >/dev/null
until_true "the first checkpoint" checkpoint_stands
pkill -KILL -n -f "^$program run k_hop" || fail "no rank to kill"
begun=$SECONDS
until_true "the end of a step with a killed rank" nothing_queued
[ ! -e out ] || fail "a run with a killed rank left an output"
echo "RESULT a killed rank: its job ended after $((SECONDS - begun)) s"
sbatch --parsable "$work/jobs/roundtrip.sbatch" >/dev/null
until_true "the resumed job" nothing_queued
cmp "$work/whole" out
echo "RESULT submitted again: the same bytes"
