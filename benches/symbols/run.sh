#!/bin/bash
# usage: benches/symbols/run.sh [ROUNDS]
# CPU seconds and peak memory of `burnmark record` with its table, beside `perf record --call-graph dwarf` and
# `perf script --no-inline`, of one run of rustc; interleaved. Needs rustc, perf, python3, `cargo build --release`.
set -e
top=$(cd "$(dirname "$0")/../.." && pwd)
burnmark=${BURNMARK:-$top/target/release/burnmark}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - > small.rs <<'PYTHON'
print("use std::collections::*;use std::fmt::Debug;")
for i in range(25):
    print(f"pub fn f{i}<T: Debug + Ord + Clone>(v: &[T]) -> String {{ let mut m = BTreeMap::new();"
          f" for x in v {{ *m.entry(x.clone()).or_insert(0) += {i}; }}"
          f" let h: HashMap<String, i32> = m.iter().map(|(a, b)| (format!(\"{{a:?}}\"), *b)).collect();"
          f" let mut s: Vec<_> = h.into_iter().collect(); s.sort(); format!(\"{{s:?}}\") }}"
          f" pub fn g{i}() -> String {{ f{i}(&[{i}u64, 2]) + &f{i}(&[\"a\"]) }}")
PYTHON
cost() {
    python3 - "$@" <<'PYTHON'
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print("%-34s %6.2f CPU s, %4d MB, exit %d" % (sys.argv[1], used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, status))
PYTHON
}
rustc=(rustc -O --edition 2021 --crate-type lib --crate-name small small.rs)
for _ in $(seq "${1:-3}"); do
    cost "rustc alone" "${rustc[@]}"
    cost "burnmark record, with rustc" "$burnmark" record -o ours.pb.gz -- "${rustc[@]}"
    cost "perf record (dwarf), with rustc" perf record -q -F 999 --call-graph dwarf -o perf.data -- "${rustc[@]}"
    cost "perf script --no-inline" perf script --no-inline -i perf.data
done
