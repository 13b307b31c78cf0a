//! What tests of damaged snapshots share.

use burnmark_heap::{
    Error, GrowthOptions, ReadOptions, Snapshot, Source, census, classes_within, diff, growth, overview, path, profile,
};

/// A snapshot with everything that has rules of its own: DOM nodes, a weak map, backing stores, shapes, locations.
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) const SMALL: &str = include_str!("../../fuzz/seeds/small.heapsnapshot");

pub(crate) fn read(bytes: &[u8]) -> Result<Snapshot, Error> {
    Snapshot::read(Source::memory(bytes.to_vec())?, &ReadOptions::default())
}

/// Asks for everything that a snapshot can be asked.
pub(crate) fn use_all(snapshot: &Snapshot) {
    let sum: u64 = (0..snapshot.node_count()).map(|node| snapshot.shallow(node)).fold(0, u64::saturating_add);
    assert_eq!(snapshot.retained(snapshot.root()), sum, "the root retains everything");
    for node in (0..snapshot.node_count()).step_by(1 + snapshot.node_count() as usize / 20) {
        let steps = path(snapshot, node);
        assert_eq!(steps.last().map(|step| step.node), Some(node));
        assert!(snapshot.retained(node) <= sum && snapshot.retained(node) >= snapshot.shallow(node));
        snapshot.edges(node);
        assert!(snapshot.retainers(node).all(|from| from < snapshot.node_count()));
    }
    overview(snapshot, 5);
    classes_within(snapshot, |name| name.len() > 3);
    assert!(profile(snapshot).samples.len() <= snapshot.node_count() as usize);
    assert_eq!(diff(snapshot, snapshot), []);
    let earlier = [census(snapshot)];
    assert_eq!(growth(&earlier, snapshot, &GrowthOptions { limit: 3, ..GrowthOptions::default() }).suspects, []);
}
