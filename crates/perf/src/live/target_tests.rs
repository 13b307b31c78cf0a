use super::*;
use crate::layout::{SAMPLE_TID, SAMPLE_TIME};

const LAYOUT: SampleLayout = SampleLayout {
    sample_type: SAMPLE_TID | SAMPLE_TIME,
    read_format: 0,
    branch_sample_type: 0,
    sample_regs_user: 0,
    sample_regs_intr: 0,
    sample_id_all: true,
};

/// A record of this type whose body is `body`; anything but a sample ends with the trailer of (pid, time).
fn record(kind: u32, misc: u16, body: &[i32], pid: i32, time: u64) -> Vec<u8> {
    let mut bytes = [kind.to_ne_bytes().as_slice(), &misc.to_ne_bytes(), &[0, 0]].concat();
    bytes.extend(body.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend([pid.to_ne_bytes(), pid.to_ne_bytes()].concat());
    bytes.extend(time.to_ne_bytes());
    let size = bytes.len() as u16;
    bytes[6..8].copy_from_slice(&size.to_ne_bytes());
    bytes
}

fn sample(pid: i32, time: u64) -> Vec<u8> {
    record(sys::PERF_RECORD_SAMPLE, 0, &[], pid, time)
}

fn fork(pid: i32, parent: i32) -> Vec<u8> {
    record(sys::PERF_RECORD_FORK, 0, &[pid, parent, pid, parent, 5, 0], parent, 5)
}

fn comm(pid: i32, is_exec: bool, time: u64) -> Vec<u8> {
    let name = i32::from_ne_bytes(*b"sh\0\0");
    record(sys::PERF_RECORD_COMM, if is_exec { 1 << 13 } else { 0 }, &[pid, pid, name, 0], pid, time)
}

fn set(follows_children: bool) -> TargetSet {
    let mut set = TargetSet::new(false, follows_children);
    set.insert(10);
    set
}

#[test]
fn children_of_children_belong_to_it() {
    let mut set = set(true);
    assert!(!set.admit(&sample(12, 1), &LAYOUT));
    assert!(set.admit(&fork(11, 10), &LAYOUT));
    assert!(set.admit(&fork(12, 11), &LAYOUT));
    assert!(!set.admit(&fork(22, 21), &LAYOUT));
    assert!(set.admit(&sample(12, 6), &LAYOUT) && set.admit(&comm(12, true, 7), &LAYOUT));
    assert!(!set.admit(&sample(22, 6), &LAYOUT) && !set.admit(&comm(22, true, 7), &LAYOUT));
    // Past its exit, and the idle task.
    assert!(!set.admit(&sample(-1, 6), &LAYOUT) && !set.admit(&sample(0, 6), &LAYOUT));
    // Losses concern everybody.
    assert!(set.admit(&record(sys::PERF_RECORD_LOST, 0, &[1, 0, 2, 0], 22, 8), &LAYOUT));
}

#[test]
fn children_are_left_out_if_asked_to() {
    let mut set = set(false);
    assert!(!set.admit(&fork(11, 10), &LAYOUT));
    assert!(!set.admit(&sample(11, 6), &LAYOUT));
    // A new thread is no child.
    let thread = record(sys::PERF_RECORD_FORK, 0, &[10, 10, 15, 10, 5, 0], 10, 5);
    assert!(set.admit(&thread, &LAYOUT));
}

/// The kernel gives ids out again: a stranger with the id of one of ours that is gone is still a stranger.
#[test]
fn an_id_given_to_a_stranger_is_no_longer_ours() {
    let mut set = set(true);
    assert!(set.admit(&fork(11, 10), &LAYOUT));
    assert!(!set.admit(&fork(11, 50), &LAYOUT));
    assert!(!set.admit(&sample(11, 9), &LAYOUT));
    assert!(set.admit(&fork(11, 10), &LAYOUT));
    assert!(set.admit(&sample(11, 10), &LAYOUT));
}

#[test]
fn a_command_counts_from_its_exec_on() {
    for admits_all in [false, true] {
        let mut set = TargetSet::new(admits_all, true);
        set.insert(10);
        set.hold_until_exec(10);
        assert!(!set.admit(&sample(10, 1), &LAYOUT));
        assert!(!set.admit(&comm(10, false, 2), &LAYOUT));
        assert!(set.admit(&comm(10, true, 3), &LAYOUT));
        assert!(set.admit(&sample(10, 4), &LAYOUT));
    }
    // The record of the exec was lost.
    let mut set = set(true);
    set.hold_until_exec(10);
    set.exec_done_at(100);
    assert!(!set.admit(&sample(10, 99), &LAYOUT));
    assert!(set.admit(&sample(10, 100), &LAYOUT) && set.admit(&sample(10, 101), &LAYOUT));
}

#[test]
fn the_living_are_asked_for_until_they_are_gone() {
    let mut set = set(true);
    assert!(set.admit(&fork(11, 10), &LAYOUT));
    assert!(set.any_alive(|pid| pid == 11));
    assert!(!set.any_alive(|_| false));
    assert!(!set.any_alive(|_| panic!("nobody is left to ask about")));
    // Their late records still count.
    assert!(set.admit(&sample(11, 6), &LAYOUT));
}

#[test]
fn damaged_records_are_dropped() {
    let mut set = set(true);
    assert!(
        !set.admit(&[], &LAYOUT)
            && !set.admit(&sample(10, 1)[..8], &LAYOUT)
            && !set.admit(&fork(11, 10)[..12], &LAYOUT)
    );
}
