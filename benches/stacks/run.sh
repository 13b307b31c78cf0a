#!/usr/bin/env bash
# Samples real programs with burnmark and with perf (`--call-graph dwarf`), both at once, and prints what share of the
# stacks reaches the thread's start: benches/stacks/run.sh [-s SECONDS] [-F HZ] [PROGRAM…]
#
# Programs: python node bundler go java rustc ripgrep postgres. What is not installed is left out (the bundler, rollup, is
# fetched from npm). Needs root (or CAP_PERFMON),
# perf, and a burnmark: $BURNMARK, or target/release/burnmark.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
burnmark=${BURNMARK:-$root/target/release/burnmark}
seconds=10 hertz=999
[ -x "$burnmark" ] || { echo "no $burnmark: cargo build --release first, or name one with BURNMARK=" >&2; exit 2; }
while getopts s:F: option; do
    case $option in
    s) seconds=$OPTARG ;;
    F) hertz=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    [ -z "${cluster:-}" ] || as_postgres "$bin/pg_ctl" -D "$cluster" -m immediate stop >/dev/null 2>&1 || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

# Folded stacks in, "SHARE% of COUNT" out: of the stacks, those whose outermost frame is where threads start.
reach() {
    awk -v starts="_start _dl_start _dl_start_user __libc_start_main __libc_start_main_impl __libc_start_call_main \
start_thread clone __clone clone3 __clone3 __clone_internal thread_start runtime.goexit runtime.goexit.abi0 \
runtime.rt0_go.abi0 runtime.mstart.abi0 runtime.mstart runtime.clone runtime.clone.abi0 ret_from_fork_asm ret_from_fork secondary_startup_64_no_verify" '
        BEGIN { split(starts, list, " "); for (i in list) is[list[i]] = 1 }
        { count = $NF; sub(/ [0-9]+$/, ""); split($0, frames, ";"); all += count
          if (is[frames[2]]) reached += count
          for (i = 2; i in frames; i++) { total += count; if (frames[i] ~ /^(\[unknown\]|.*\+0x[0-9a-f]+)$/) unknown += count } }
        END { printf "%.2f %d %.2f", all ? 100 * reached / all : 0, all, total ? 100 * unknown / total : 0 }'
}

# both NAME PID…: samples the processes for $seconds with both recorders.
both() {
    local name=$1 data=$work/$1
    shift
    local list
    list=$(IFS=,; echo "$*")
    perf record -q --call-graph dwarf -F "$hertz" -p "$list" -o "$data.data" -- sleep "$seconds" 2>"$data.perf.err" &
    local perf=$!
    "$burnmark" record -p "$list" -d "$seconds" -F "$hertz" -o "$data.pb.gz" >"$data.table" 2>"$data.err" || cat "$data.err"
    wait "$perf" || true
    row "$name"
}

# row NAME: what both made of it.
row() {
    local data=$work/$1 ours theirs lost
    "$burnmark" convert "$data.pb.gz" -o "$data.ours.folded" --value samples/count --no-inline 2>/dev/null
    perf script --no-inline -i "$data.data" -F comm,pid,tid,time,event,ip,sym,dso 2>/dev/null >"$data.script"
    "$burnmark" convert "$data.script" -o "$data.theirs.folded" 2>/dev/null
    read -ra ours < <(reach <"$data.ours.folded"; echo)
    read -ra theirs < <(reach <"$data.theirs.folded"; echo)
    lost=$("$burnmark" info --json "$data.pb.gz" | grep -o '"lost": *[0-9]*' | head -1 | grep -o '[0-9]*$' || echo 0)
    lost_theirs=$(perf report -i "$data.data" --stats 2>/dev/null | awk '/LOST_SAMPLES events/ {print $3; exit}')
    printf '| %-8s | %6.2f %% of %6d | %6.2f %% of %6d | %5.2f %% | %5.2f %% | %4s | %4s |\n' "$1" "${ours[0]}" "${ours[1]}" \
        "${theirs[0]}" "${theirs[1]}" "${ours[2]}" "${theirs[2]}" "${lost:-0}" "${lost_theirs:-0}"
}

# launched NAME COMMAND…: starts it, gives it a moment, samples it.
launched() {
    local name=$1
    shift
    "$@" >"$work/$name.out" 2>&1 &
    local pid=$!
    pids+=("$pid")
    sleep "${WARM:-1}"
    both "$name" "$pid"
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

python() {
    launched python python3 "$here/work.py"
}

node_() {
    launched node node "$here/work.js"
}

bundler() {
    (cd "$work" && npm install --silent --no-audit --no-fund rollup@4 lodash-es@4 >/dev/null)
    cp "$here/bundle.mjs" "$work/"
    # Its log goes where everything else does.
    launched bundler env -C "$work" node --perf-basic-prof bundle.mjs
}

go_() {
    (cd "$here" && go build -o "$work/go-work" work.go)
    launched go "$work/go-work"
}

java_() {
    javac -d "$work" "$here/Work.java"
    WARM=3 launched java java -XX:+PreserveFramePointer -cp "$work" Work
}

rustc_() {
    "$here/rustc-work.sh" >"$work/work.rs"
    launched rustc "$(rustup which rustc 2>/dev/null || command -v rustc)" --edition 2024 --crate-type rlib -C opt-level=3 \
        -o "$work/libwork.rlib" "$work/work.rs"
}

ripgrep() {
    launched ripgrep sh -c "while :; do rg -c --no-ignore -e '[a-z]+_[a-z]+\(' /usr/include /usr/lib/python3* >/dev/null; done"
}

as_postgres() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi
}

postgres_() {
    bin=$(dirname "$(find /usr/lib/postgresql /usr/local/pgsql -name pgbench 2>/dev/null | sort | tail -1)")
    cluster=$work/cluster
    chmod 755 "$work"
    mkdir "$cluster"
    [ "$(id -u)" != 0 ] || chown postgres "$cluster"
    as_postgres "$bin/initdb" -D "$cluster" -A trust >/dev/null
    as_postgres "$bin/pg_ctl" -D "$cluster" -o "-k $cluster -c listen_addresses='' -c fsync=off" -w -l "$cluster/log" start >/dev/null
    as_postgres "$bin/pgbench" -h "$cluster" -i -s 10 -q postgres >"$work/pgbench.out" 2>&1 || cat "$work/pgbench.out"
    as_postgres "$bin/pgbench" -h "$cluster" -S -c 4 -j 1 -T $((seconds + 30)) postgres >/dev/null 2>&1 &
    pids+=($!)
    sleep 2
    # shellcheck disable=SC2046
    both postgres $(pgrep -P "$(head -1 "$cluster/postmaster.pid")" | tr '\n' ' ')
}

has() { command -v "$1" >/dev/null; }

echo "| program  | burnmark reaches the start | perf reaches the start | unknown frames | perf's | lost | perf's |"
echo "|---|---|---|---|---|---|---|"
for name in "${@:-python node bundler go java rustc ripgrep postgres}"; do
    for one in $name; do
        case $one in
        python) ! has python3 || python ;;
        node) ! has node || node_ ;;
        bundler) ! has npm || bundler ;;
        go) ! has go || go_ ;;
        java) ! has javac || java_ ;;
        rustc) ! has rustc || rustc_ ;;
        ripgrep) ! has rg || ripgrep ;;
        postgres) ! has pgbench || postgres_ ;;
        *) echo "no such program: $one" >&2; exit 2 ;;
        esac
    done
done
