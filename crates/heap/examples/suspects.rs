//! Prints the suspects of snapshots of one process, in order: `suspects FIRST… LAST`.

use burnmark_heap::{GrowthOptions, ReadOptions, Snapshot, Source, census, growth};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let Some((last, earlier)) = paths.split_last() else { return Ok(()) };
    let read = |path: &String, options: &ReadOptions| {
        Ok::<_, Box<dyn std::error::Error>>(Snapshot::read(Source::file(std::fs::File::open(path)?)?, options)?)
    };
    let last = read(last, &ReadOptions::default())?;
    let options = ReadOptions { shapes: Some(last.shapes()), ..ReadOptions::default() };
    let earlier = earlier
        .iter()
        .map(|path| Ok(census(&read(path, &options)?)))
        .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    let growth = growth(&earlier, &last, &GrowthOptions { limit: 10, ..GrowthOptions::default() });
    for suspect in &growth.suspects {
        println!(
            "{} | {} {:?} | {:?} | {} | {:.2} | {:?}",
            suspect.cause.name(),
            suspect.what,
            suspect.born,
            suspect.growth,
            last.label(suspect.node),
            suspect.share,
            suspect.tier
        );
        let path: Vec<String> =
            suspect.path.iter().map(|step| format!("{} {}", step.edge, last.label(step.node))).collect();
        println!("    {}\n    {}", path.join(" > "), suspect.hint);
    }
    Ok(())
}
