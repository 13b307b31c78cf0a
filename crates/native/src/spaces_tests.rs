//! The tracker against a model that keeps every byte apart.

use proptest::prelude::*;

use super::*;

/// Addresses of the model are 0..SIZE.
const SIZE: u64 = 48;

fn region(start: u64, length: u64, module: Option<u32>) -> Region {
    // Offsets that differ from addresses, so that a wrong cut shows.
    Region { start, end: (start + length).min(SIZE), offset: 1000 + start * 3, module }
}

/// Per byte the mapping it belongs to: the rule said literally.
#[derive(Clone, Default)]
struct Naive {
    bytes: HashMap<(i32, u64), (u64, Region, bool)>,
    since: HashMap<i32, u64>,
}

impl Naive {
    fn map(&mut self, pid: i32, region: Region, time: u64, loaded: bool) {
        if time < self.since.get(&pid).copied().unwrap_or(0) {
            return;
        }
        for byte in region.start..region.end {
            let old = self.bytes.get(&(pid, byte)).map(|old| old.0);
            if old.is_none_or(|old| old <= time) {
                self.bytes.insert((pid, byte), (time, region, loaded));
            }
        }
    }

    fn exec(&mut self, pid: i32, time: u64) {
        if time >= self.since.get(&pid).copied().unwrap_or(0) {
            self.bytes.retain(|key, old| key.0 != pid || old.0 >= time);
            self.since.insert(pid, time);
        }
    }

    fn fork(&mut self, child: i32, parent: i32, time: u64) {
        self.bytes.retain(|key, _| key.0 != child);
        let copied: Vec<_> = self.bytes.iter().filter(|(key, _)| key.0 == parent).map(|(k, v)| (k.1, *v)).collect();
        self.bytes.extend(copied.into_iter().map(|(byte, value)| ((child, byte), value)));
        self.since.insert(child, time);
    }

    fn find(&self, pid: i32, byte: u64) -> Option<Found> {
        let (_, region, _) = self.bytes.get(&(pid, byte))?;
        Some(Found { module: region.module?, offset: region.offset + (byte - region.start) })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Map(i32, Region),
    Load(i32, Vec<Region>),
    Exec(i32),
    Fork(i32, i32),
}

fn regions() -> impl Strategy<Value = Region> {
    (0..SIZE, 0..20_u64, proptest::option::weighted(0.85, 0..6_u32)).prop_map(|(start, len, m)| region(start, len, m))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1..4_i32, regions()).prop_map(|(pid, region)| Step::Map(pid, region)),
        1 => (1..4_i32, proptest::collection::vec(regions(), 0..4)).prop_map(|(pid, regions)| Step::Load(pid, regions)),
        1 => (1..4_i32).prop_map(Step::Exec),
        2 => (1..4_i32, 1..4_i32).prop_map(|(child, parent)| Step::Fork(child, parent)),
    ];
    proptest::collection::vec(step, 0..40)
}

fn check(spaces: &Spaces, naive: &Naive) {
    for pid in 1..4 {
        for byte in 0..SIZE {
            assert_eq!(spaces.find(pid, byte), naive.find(pid, byte), "process {pid}, byte {byte}");
        }
    }
}

proptest! {
    /// In order, everything is as if every byte were kept apart.
    #[test]
    fn agrees_with_bytes_kept_apart(steps in steps()) {
        let (mut spaces, mut naive) = (Spaces::default(), Naive::default());
        for (time, step) in (1..).zip(steps) {
            match step {
                Step::Map(pid, region) => {
                    spaces.map(pid, region, time);
                    naive.map(pid, region, time, false);
                }
                Step::Load(pid, regions) => {
                    spaces.load(pid, &regions, time);
                    regions.iter().for_each(|region| naive.map(pid, *region, time, true));
                }
                Step::Exec(pid) => {
                    spaces.exec(pid, time);
                    naive.exec(pid, time);
                }
                Step::Fork(child, parent) if child != parent => {
                    spaces.fork(child, parent, time);
                    naive.fork(child, parent, time);
                }
                Step::Fork(..) => spaces.fork(1, 1, time),
            }
            check(&spaces, &naive);
        }
    }

    /// Mappings and execs of one process give the same in any order of arrival.
    #[test]
    fn order_of_arrival_does_not_matter(
        maps in proptest::collection::vec((regions(), any::<bool>()), 0..20),
        execs in proptest::collection::vec(0..20_usize, 0..2),
        order in proptest::collection::vec(any::<u32>(), 24),
    ) {
        #[derive(Clone, Copy)]
        enum What { Map(Region, bool), Exec }
        let mut records: Vec<(u64, What)> = Vec::new();
        for (index, (region, loaded)) in maps.into_iter().enumerate() {
            records.push((10 * index as u64 + 10, What::Map(region, loaded)));
        }
        records.extend(execs.into_iter().map(|at| (10 * at as u64 + 5, What::Exec)));
        let play = |records: &[(u64, What)]| {
            let mut spaces = Spaces::default();
            for (time, what) in records {
                match what {
                    What::Map(region, true) => spaces.load(1, &[*region], *time),
                    What::Map(region, false) => spaces.map(1, *region, *time),
                    What::Exec => spaces.exec(1, *time),
                }
            }
            (0..SIZE).map(|byte| spaces.find(1, byte)).collect::<Vec<_>>()
        };
        let mut shuffled: Vec<_> = records.iter().copied().zip(order).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(record, _)| record).collect();
        records.sort_by_key(|record| record.0);
        prop_assert_eq!(play(&records), play(&shuffled));
    }

    /// A fork, mappings of parent and child, and an exec of each: no order of arrival puts a module where it never was.
    #[test]
    fn no_order_puts_modules_in_the_wrong_process(order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let at = |module| region(0, 8, Some(module));
        let elsewhere = |module| region(16, 8, Some(module));
        let mut spaces = Spaces::default();
        spaces.map(1, at(0), 1);
        for step in order {
            match step {
                0 => spaces.fork(2, 1, 100),
                1 => spaces.map(1, elsewhere(1), 110),
                2 => spaces.exec(1, 120),
                3 => spaces.map(1, at(2), 130),
                4 => spaces.map(2, elsewhere(3), 140),
                5 => spaces.exec(2, 150),
                _ => spaces.map(2, at(4), 160),
            }
        }
        // In the end: the parent has what it mapped after its exec, and so has the child.
        prop_assert_eq!(spaces.find(1, 0).map(|found| found.module), Some(2));
        prop_assert_eq!(spaces.find(1, 16), None);
        prop_assert_eq!(spaces.find(2, 0).map(|found| found.module), Some(4));
        prop_assert_eq!(spaces.find(2, 16), None);
    }

    /// Without an exec of the child, it has what the parent had when it forked, or (where that came too late to be known)
    /// nothing; never what the parent got later.
    #[test]
    fn a_child_never_gets_what_its_parent_mapped_later(order in Just((0..4_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut spaces = Spaces::default();
        spaces.map(1, region(0, 8, Some(0)), 1);
        for step in order {
            match step {
                0 => spaces.fork(2, 1, 100),
                1 => spaces.map(1, region(0, 8, Some(1)), 110),
                2 => spaces.exec(1, 120),
                _ => spaces.map(1, region(0, 8, Some(2)), 130),
            }
        }
        let child = spaces.find(2, 0).map(|found| found.module);
        prop_assert!(matches!(child, None | Some(0)), "{child:?}");
    }
}

#[test]
fn inside_of_an_exec_addresses_are_those_of_the_program_before() {
    let mut spaces = Spaces::default();
    let before = |spaces: &Spaces, byte| spaces.find_before_exec(1, byte).map(|found| found.module);
    spaces.map(1, region(0, 8, Some(0)), 1);
    assert_eq!(before(&spaces, 2), None);
    spaces.exec(1, 10);
    assert_eq!((spaces.find(1, 2), before(&spaces, 2), before(&spaces, 9)), (None, Some(0), None));
    // The program, its interpreter, the vDSO: the kernel is at it. Then the first library: the program runs.
    for (start, time) in [(10, 11), (20, 12), (30, 13)] {
        spaces.map(1, region(start, 4, Some(1)), time);
        assert_eq!(before(&spaces, 2), Some(0));
    }
    spaces.map(1, region(40, 4, Some(2)), 14);
    assert_eq!(before(&spaces, 2), None);
}

#[test]
fn a_mapping_in_the_middle_splits_the_older_one() {
    let mut spaces = Spaces::default();
    spaces.map(1, Region { start: 0x1000, end: 0x9000, offset: 0x400, module: Some(1) }, 1);
    spaces.map(1, Region { start: 0x3000, end: 0x4000, offset: 0, module: Some(2) }, 2);
    let at = |address| spaces.find(1, address).map(|found| (found.module, found.offset));
    assert_eq!(at(0x2fff), Some((1, 0x23ff)));
    assert_eq!(at(0x3000), Some((2, 0)));
    assert_eq!(at(0x4000), Some((1, 0x3400)));
    assert_eq!(at(0x8fff), Some((1, 0x83ff)));
    assert_eq!(at(0x9000), None);
    assert_eq!(spaces.find(2, 0x3000), None);
}

#[test]
fn records_from_after_the_maps_were_read_win_and_older_ones_lose() {
    let mut spaces = Spaces::default();
    spaces.map(1, region(0, 4, Some(1)), 90);
    spaces.map(1, region(8, 4, Some(2)), 110);
    spaces.load(1, &[region(0, 16, Some(7))], 100);
    let module = |byte| spaces.find(1, byte).map(|found| found.module);
    assert_eq!((module(0), module(5), module(9), module(13)), (Some(7), Some(7), Some(2), Some(7)));
}

#[test]
fn maps_read_after_an_exec_are_not_given_to_a_child_forked_before_it() {
    let mut spaces = Spaces::default();
    // Attached: the parent's maps are read first (at 100); the records of what happened before that follow.
    spaces.load(1, &[region(0, 8, Some(7))], 100);
    spaces.fork(2, 1, 40);
    assert_eq!(spaces.find(2, 0).map(|found| found.module), Some(7));
    spaces.exec(1, 50);
    assert_eq!(spaces.find(1, 0).map(|found| found.module), Some(7));
    assert_eq!(spaces.find(2, 0), None);
}

#[test]
fn a_child_forked_before_the_maps_were_read_shares_them() {
    let mut spaces = Spaces::default();
    spaces.load(1, &[region(0, 8, Some(7))], 100);
    spaces.fork(2, 1, 90);
    spaces.map(2, region(0, 2, Some(8)), 95);
    let module = |byte| spaces.find(2, byte).map(|found| found.module);
    // The maps were read at 100, of the parent: they don't override what the child itself did at 95.
    assert_eq!(module(4), Some(7));
    assert_eq!(module(0), Some(8));
}

#[test]
fn ends_of_the_address_space() {
    let mut spaces = Spaces::default();
    spaces.map(1, Region { start: u64::MAX - 4, end: u64::MAX, offset: u64::MAX - 1, module: Some(1) }, 1);
    assert_eq!(spaces.find(1, u64::MAX - 1), Some(Found { module: 1, offset: 1 }));
    assert_eq!(spaces.find(1, u64::MAX), None);
    spaces.map(1, Region { start: 9, end: 3, offset: 0, module: Some(2) }, 2);
    assert_eq!(spaces.find(1, 5), None);
}
