//! System calls and shared memory: the only `unsafe` of this crate. Everything here is a thin, safe wrapper.
#![allow(unsafe_code)]

use perf_event_open_sys as perf;
use perf_event_open_sys::bindings::{self, perf_event_attr, perf_event_mmap_page};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Opens a perf event; `pid` 0 is this thread, -1 everyone; `cpu` -1 is any.
pub(super) fn open_event(attr: &perf_event_attr, pid: i32, cpu: i32) -> io::Result<OwnedFd> {
    // The kernel writes its own size into `size` when it refuses the attribute's.
    let mut attr = *attr;
    // SAFETY: `attr` is a live, initialized perf_event_attr whose `size` is its own; the kernel reads no further.
    let fd = unsafe { perf::perf_event_open(&mut attr, pid, cpu, -1, bindings::PERF_FLAG_FD_CLOEXEC.into()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Starts the event, and those inherited from it.
pub(super) fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an ioctl on an open descriptor that takes no pointer.
    check(unsafe { perf::ioctls::ENABLE(event.as_raw_fd(), 0) })
}

/// Stops the event, and those inherited from it.
pub(super) fn disable(event: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: as above.
    check(unsafe { perf::ioctls::DISABLE(event.as_raw_fd(), 0) })
}

/// The id that the event's records carry, those of inherited events included.
pub(super) fn event_id(event: BorrowedFd<'_>) -> io::Result<u64> {
    let mut id = 0;
    // SAFETY: the kernel writes one u64 to where `id` lives.
    check(unsafe { perf::ioctls::ID(event.as_raw_fd(), &mut id) })?;
    Ok(id)
}

/// The descriptor of a counter. The `perf_event` crate lets programs that are run inherit it: that is taken back.
pub(crate) fn counter_file(counter: perf_event::Counter) -> io::Result<File> {
    // SAFETY: the counter gives up its descriptor, from here on it is ours alone.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(counter.into_raw_fd()) });
    // SAFETY: fcntl on an open descriptor with an integer argument.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(file)
}

/// Lets `event` write into the ring of `owner`.
pub(super) fn set_output(event: BorrowedFd<'_>, owner: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: as above, the argument is a descriptor.
    check(unsafe { perf::ioctls::SET_OUTPUT(event.as_raw_fd(), owner.as_raw_fd()) })
}

/// A descriptor that becomes readable when the process ends.
pub(super) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made this descriptor (close-on-exec, as all pidfds), nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Waits until one of `fds` is ready; returns how many are. An interruption by a signal is 0.
pub(super) fn poll(fds: &mut [libc::pollfd], timeout: Duration) -> io::Result<usize> {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: pointer and length are those of a live slice.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, millis) };
    match usize::try_from(ready) {
        Ok(ready) => Ok(ready),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            error => Err(error),
        },
    }
}

/// Raises the soft limit of open files to the hard one; returns the limit now in force.
pub(super) fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: points to a live rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: points to a live rlimit.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    }
    Ok(limit.rlim_cur)
}

/// Changes this thread's policy from `SCHED_OTHER` to `SCHED_BATCH`, or back; false if it had another, or may not.
pub(super) fn wait_for_turn(waits: bool) -> bool {
    let (from, to) =
        if waits { (libc::SCHED_OTHER, libc::SCHED_BATCH) } else { (libc::SCHED_BATCH, libc::SCHED_OTHER) };
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: takes an integer, 0 is this thread.
    let is_from = unsafe { libc::sched_getscheduler(0) } == from;
    // SAFETY: points to a live sched_param. Where it is refused nothing has changed.
    is_from && unsafe { libc::sched_setscheduler(0, to, &parameters) } == 0
}

/// Nanoseconds on CLOCK_MONOTONIC, the clock of all records.
pub(super) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: points to a live timespec; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Bytes of a page of memory.
pub(super) fn page_size() -> usize {
    // SAFETY: takes an integer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The effective user of this process.
pub(super) fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Clock ticks per second in `/proc/PID/stat`.
pub(crate) fn ticks_per_second() -> u64 {
    // SAFETY: takes an integer.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|&ticks| ticks > 0).unwrap_or(100)
}

/// Makes `command` stop between fork and exec: it writes its pid (four bytes) to `ready`, then waits for a byte from
/// `go`. If `go` ends without one, it gives up with ECANCELED. `go_writer` is the parent's end of `go`, which the child
/// has to close so that it can see that end.
pub(super) fn hold_before_exec(command: &mut Command, ready: RawFd, go: RawFd, go_writer: RawFd) {
    let hold = move || {
        // SAFETY: this runs in the forked child, where these descriptors are copies that nobody else uses; only
        // async-signal-safe calls are made and nothing is allocated.
        unsafe {
            libc::close(go_writer);
            let pid = libc::getpid().to_ne_bytes();
            if libc::write(ready, pid.as_ptr().cast(), pid.len()) != pid.len() as isize {
                return Err(io::Error::last_os_error());
            }
            let mut byte = 0_u8;
            loop {
                match libc::read(go, ptr::from_mut(&mut byte).cast(), 1) {
                    1 => return Ok(()),
                    0 => return Err(io::Error::from_raw_os_error(libc::ECANCELED)),
                    _ => {
                        let error = io::Error::last_os_error();
                        if error.raw_os_error() != Some(libc::EINTR) {
                            return Err(error);
                        }
                    }
                }
            }
        }
    };
    // SAFETY: the closure keeps to what is allowed between fork and exec, see there.
    unsafe { command.pre_exec(hold) };
}

/// The memory that a perf event shares with us: one page of control, then the ring of records.
pub(super) struct RingMap {
    base: *mut libc::c_void,
    page: usize,
    len: usize,
    /// Positions of what can be read: the kernel does not write there before it is released.
    ready: Range<u64>,
}

// SAFETY: the mapping belongs to this value alone, and nothing in it is tied to the thread that made it.
unsafe impl Send for RingMap {}

impl RingMap {
    /// Maps `len` bytes of ring, a power of two of at least one page.
    pub(super) fn new(event: BorrowedFd<'_>, len: usize) -> io::Result<RingMap> {
        let page = page_size();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), page + len, protection, libc::MAP_SHARED, event.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(RingMap { base, page, len, ready: 0..0 })
    }

    fn control(&self) -> *mut perf_event_mmap_page {
        self.base.cast()
    }

    fn counter(&self, field: *mut u64) -> &AtomicU64 {
        // SAFETY: `field` is an aligned u64 inside the mapping, which lasts as long as `self` and which both sides only
        // access atomically.
        unsafe { AtomicU64::from_ptr(field) }
    }

    /// Looks what the kernel has written by now. Returns the positions of all that was not released: whole records.
    pub(super) fn look(&mut self) -> Range<u64> {
        // SAFETY: only the field's address is taken. Acquire pairs with the kernel's release after writing records.
        let head = self.counter(unsafe { ptr::addr_of_mut!((*self.control()).data_head) }).load(Ordering::Acquire);
        // The kernel keeps head - tail <= len: otherwise there is nothing that could be read safely.
        let tail = self.ready.start;
        let is_sound = head.checked_sub(tail).is_some_and(|ready| ready <= self.len as u64);
        self.ready = if is_sound { tail..head } else { head..head };
        self.ready.clone()
    }

    /// The aligned word at a position.
    pub(super) fn word(&self, at: u64) -> u64 {
        let offset = (at as usize) & (self.len - 1) & !7;
        // SAFETY: the offset lies in the ring, a multiple of eight of at least one page; the ring begins a page after
        // `base`, which is aligned to a page.
        let field = unsafe { self.base.cast::<u8>().add(self.page + offset).cast::<u64>() };
        self.counter(field).load(Ordering::Relaxed)
    }

    /// Appends the bytes at these positions to `out`; what is not ready is left out.
    pub(super) fn copy(&self, range: Range<u64>, out: &mut Vec<u8>) {
        let from = range.start.max(self.ready.start);
        let wanted = range.end.min(self.ready.end).saturating_sub(from) as usize;
        let start = (from as usize) & (self.len - 1);
        let first = wanted.min(self.len - start);
        out.reserve(wanted);
        // SAFETY: `look` has made sure that `wanted` is at most the ring's length, so both pieces lie inside the mapped
        // ring ([start, start + first) and [0, wanted - first)); `out` has room for them, and the kernel does not write
        // there before they are released.
        unsafe {
            let ring: *const u8 = self.base.cast::<u8>().add(self.page);
            let to = out.as_mut_ptr().add(out.len());
            ptr::copy_nonoverlapping(ring.add(start), to, first);
            ptr::copy_nonoverlapping(ring, to.add(first), wanted - first);
            out.set_len(out.len() + wanted);
        }
    }

    /// Gives everything before `end` back to the kernel.
    pub(super) fn release(&mut self, end: u64) {
        self.ready.start = end.clamp(self.ready.start, self.ready.end);
        // SAFETY: only the field's address is taken.
        let tail_field = self.counter(unsafe { ptr::addr_of_mut!((*self.control()).data_tail) });
        // Release: our reads are done before the kernel may write there again.
        tail_field.store(self.ready.start, Ordering::Release);
    }
}

impl Drop for RingMap {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; no reference into it outlives `self`.
        unsafe { libc::munmap(self.base, self.page + self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy of this thread: field 41 of `/proc/thread-self/stat` (proc(5)).
    fn policy() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("this thread has a stat file");
        let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
        fields.split_whitespace().nth(38).expect("it has that many fields").parse().expect("it is a number")
    }

    #[test]
    fn only_the_thread_that_asks_waits_for_its_turn() {
        if policy() != libc::SCHED_OTHER {
            eprintln!("skipped: somebody has set a policy for this process");
            return;
        }
        let policies = std::thread::spawn(|| {
            let waiting = super::super::wait_for_turn();
            let waits = policy();
            drop(waiting);
            [waits, policy()]
        });
        let policies = policies.join().expect("it does not panic");
        assert_eq!(policies, [libc::SCHED_BATCH, libc::SCHED_OTHER]);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn a_policy_that_was_set_before_stays() {
        let policies = std::thread::spawn(|| {
            wait_for_turn(true);
            drop(super::super::wait_for_turn());
            policy()
        });
        assert_ne!(policies.join().expect("it does not panic"), libc::SCHED_OTHER);
    }
}
