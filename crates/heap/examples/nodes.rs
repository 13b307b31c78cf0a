//! Prints what is computed of a snapshot, for comparing with other tools: `nodes FILE` prints
//! `id shallow retained distance dominator` per node, `nodes --times FILE` how long the phases took.

use burnmark_heap::{ReadOptions, Snapshot, Source};
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let times = args.first().is_some_and(|arg| arg == "--times");
    if times {
        args.remove(0);
    }
    for path in args {
        let start = std::time::Instant::now();
        let snapshot = Snapshot::read(Source::file(std::fs::File::open(&path)?)?, &ReadOptions::default())?;
        if times {
            let (nodes, edges) = (snapshot.node_count(), snapshot.edge_count());
            let times = snapshot.timings();
            let phases = [
                ("parse", times.parse),
                ("marks", times.marks),
                ("graph", times.graph),
                ("dominators", times.dominators),
                ("aggregates", times.aggregates),
                ("all", start.elapsed()),
            ];
            let phases = phases.map(|(name, time)| format!("{name} {:.3} s", time.as_secs_f64())).join(", ");
            println!("{path}: {nodes} nodes, {edges} edges: {phases}");
            continue;
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for node in 0..snapshot.node_count() {
            writeln!(
                out,
                "{} {} {} {} {}",
                snapshot.id(node),
                snapshot.shallow(node),
                snapshot.retained(node),
                snapshot.distance(node),
                snapshot.dominator(node)
            )?;
        }
        for class in snapshot.classes() {
            let place = class.location.map_or(String::new(), |l| format!("{},{},{}", l.script, l.line, l.column));
            let sums = class.sums;
            writeln!(
                out,
                "{place},{}\t{} {} {} {}",
                class.name.replace('\n', "\\n"),
                sums.count,
                sums.distance,
                sums.shallow,
                sums.retained
            )?;
        }
        writeln!(out, "{:?}", snapshot.statistics())?;
    }
    Ok(())
}
