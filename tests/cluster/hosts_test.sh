#!/usr/bin/env bash
# Two and three hosts on one machine: network namespaces on a bridge, Open MPI's messages over TCP between them, ranks
# started by `ip netns exec` in place of ssh. Looks at: results equal to one process, a killed rank ends all ranks within
# seconds, a resumed run gives the same bytes, and so does a network that loses and delays packets where that is permitted.
# Usage: hosts_test.sh PROGRAM. Exit status 77: network namespaces are not permitted here (root makes them).
set -euo pipefail
program=$(readlink -f "$1")
work=$(mktemp -d)
id=rt$$
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
hosts=(1 2 3)

finish() {
  for host in "${hosts[@]}"; do ip netns del "$id-$host" 2>/dev/null || true; done
  ip link del "$id" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
if ! ip netns add "$id-1" 2>"$work/why"; then
  echo "skipped: network namespaces: $(cat "$work/why")"
  exit 77
fi
ip netns del "$id-1"
ip link add "$id" type bridge
ip address add 10.213.77.254/24 dev "$id"
ip link set "$id" up
for host in "${hosts[@]}"; do
  ip netns add "$id-$host"
  ip link add "$id-v$host" type veth peer name eth0 netns "$id-$host"
  ip link set "$id-v$host" master "$id" up
  ip -n "$id-$host" address add "10.213.77.$host/24" dev eth0
  ip -n "$id-$host" link set eth0 up
  ip -n "$id-$host" link set lo up
done
# In place of ssh: Open MPI calls it as AGENT HOST COMMAND. A host is told apart by its name too.
cat >"$work/agent" <<AGENT
#!/bin/bash
host=\${1##*.}
shift
exec ip netns exec $id-\$host unshare --uts bash -c "hostname $id-\$host; \$*"
AGENT
chmod +x "$work/agent"

# on HOSTS ARGUMENTS..: a rank on each host; mpirun itself runs on host 1.
on() {
  local names=10.213.77.1
  for ((host = 2; host <= $1; ++host)); do names+=,10.213.77.$host; done
  "$work/agent" 10.213.77.1 "timeout 120 mpirun -q --mca plm_rsh_agent $work/agent --mca oob_tcp_if_include eth0 \
    --mca btl tcp,self --mca btl_tcp_if_include eth0 --host $names -n $1 $program $(printf '%q ' "${@:2}")"
}
run=(run k_hop --n 30000 --param k=4)

"$program" "${run[@]}" --output "$work/one" --json "$work/one.json" --quiet
same() {
  cmp "$work/one" "$1"
  diff <(grep -Ev '"(transport|ranks|seconds)"' "$work/one.json") <(grep -Ev '"(transport|ranks|seconds)"' "$2")
}
for count in 2 3; do
  on "$count" "${run[@]}" --output "$work/many" --json "$work/many.json" --quiet
  grep -q "\"ranks\": $count" "$work/many.json"
  same "$work/many" "$work/many.json"
  echo "RESULT $count hosts: equal to one process"
done

# A rank is killed: all end within seconds, and the run is resumed.
large=(run k_hop --n 3000000 --param k=4 --quiet)
ended_by() { # WHAT COMMAND..: while a run with checkpoints is on
  rm -rf "$work/kept"
  on 2 "${large[@]}" --checkpoint "$work/kept" 2>"$work/said" &
  local job=$! waited=0
  until compgen -G "$work/kept/manifest-*" >/dev/null; do
    sleep 0.1
    waited=$((waited + 1))
    [ "$waited" -lt 600 ] || { echo "no checkpoint within a minute" >&2; cat "$work/said" >&2; exit 1; }
  done
  "${@:2}"
  local begun=$SECONDS status=0
  wait "$job" || status=$?
  [ "$status" -ne 0 ] && [ "$status" -ne 124 ] || { echo "$1: status $status" >&2; exit 1; }
  [ $((SECONDS - begun)) -le 30 ] || { echo "$1: ended after $((SECONDS - begun)) s" >&2; exit 1; }
  echo "RESULT $1: all ended after $((SECONDS - begun)) s"
}
kill_rank() { kill -KILL "$(ip netns pids "$id-2" | while read -r pid; do
  [ "$(readlink "/proc/$pid/exe")" = "$program" ] && echo "$pid"; done | head -1)"; }
ended_by "a killed rank" kill_rank
on 3 "${large[@]}" --resume "$work/kept" --output "$work/resumed"
"$program" "${large[@]}" --output "$work/whole"
cmp "$work/whole" "$work/resumed"
echo "RESULT resumed on 3 hosts: the same bytes"

if ip netns exec "$id-2" tc qdisc add dev eth0 root netem delay 5ms loss 1% 2>"$work/why"; then
  on 2 "${run[@]}" --output "$work/many" --json "$work/many.json" --quiet
  same "$work/many" "$work/many.json"
  echo "RESULT 5 ms delay and 1% loss: equal to one process"
else
  echo "skipped: loss and delay: $(cat "$work/why")"
fi
