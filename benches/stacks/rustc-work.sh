#!/usr/bin/env bash
# Prints a crate of generic code that takes rustc half a minute with all optimizations.
set -euo pipefail
echo 'use std::collections::{BTreeMap, HashMap};'
for i in $(seq 1 200); do
    echo "#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)] pub struct T$i(pub u64, pub String);"
    echo "pub fn f$i(n: u64) -> usize { let mut m: BTreeMap<T$i, Vec<T$i>> = BTreeMap::new(); let mut h = HashMap::new();"
    echo "  for i in 0..n { let t = T$i(i, format!(\"{i:?}\")); m.entry(t.clone()).or_default().push(t.clone()); h.insert(t, i); }"
    echo "  let mut v: Vec<_> = m.into_iter().filter(|(k, _)| h.contains_key(k)).collect(); v.sort(); format!(\"{v:?}\").len() }"
done
