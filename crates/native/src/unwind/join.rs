//! Carrying on with the kernel's call chain where the copy of the stack ends.
//!
//! The kernel followed frame pointers: the first address of its chain is where the thread was, each other one was read
//! from the word after the one that a frame pointer points to, and the next frame pointer from there. With the copy the
//! first of these steps can be done again, so it is known *where* each address of the chain was read: until the copy
//! ends, and one address beyond (the last frame pointer in the copy tells where the next one lies).
//!
//! The unwinder knows where the return address lies that it can't read. If the chain has one that was read just there,
//! it is that one, and the rest of the chain are its callers: nothing is doubled, nothing is left out. Comparing
//! addresses only would mistake one turn of a recursion for another.

use super::stack::StackCopy;

/// The part of the kernel's chain that begins with the return address at `slot`. `chain` is the user half, leaf first;
/// `ip` and `frame_pointer` are the leaf's.
pub(super) fn rest_of_chain<'a>(
    chain: &'a [u64],
    ip: u64,
    frame_pointer: Option<u64>,
    stack: StackCopy<'_>,
    slot: u64,
) -> Option<&'a [u64]> {
    let mut frame_pointer = frame_pointer?;
    if chain.first() != Some(&ip) {
        return None;
    }
    for (index, address) in chain.iter().enumerate().skip(1) {
        let read_from = frame_pointer.checked_add(8)?;
        if read_from == slot {
            return chain.get(index..);
        }
        let next = stack.word(frame_pointer)?;
        // A chain that was made another way tells nothing of where its addresses come from.
        if stack.word(read_from)? != *address {
            return None;
        }
        frame_pointer = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of a function that calls itself: all return to the same address.
    fn recursion(frames: u64, words: usize) -> (Vec<u8>, Vec<u64>) {
        let base = 0x7000;
        let mut memory = vec![0_u64; 3 * frames as usize];
        for frame in 0..frames {
            memory[3 * frame as usize] = base + 24 * (frame + 1);
            memory[3 * frame as usize + 1] = 0x1111;
        }
        let chain = std::iter::once(0x1000).chain((0..frames).map(|_| 0x1111)).collect();
        (memory[..words].iter().flat_map(|word| word.to_le_bytes()).collect(), chain)
    }

    #[test]
    fn each_turn_of_a_recursion_is_told_apart() {
        let (bytes, chain) = recursion(10, 30);
        let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
        for frame in 0..10 {
            let slot = 0x7000 + 24 * frame + 8;
            let rest = rest_of_chain(&chain, 0x1000, Some(0x7000), stack, slot).map(<[u64]>::len);
            assert_eq!(rest, Some(10 - frame as usize));
        }
    }

    #[test]
    fn one_address_beyond_the_copy_is_known_and_no_more() {
        // The copy ends before the return address of the fifth frame (index 4).
        let (bytes, chain) = recursion(10, 13);
        let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
        let rest = |frame: u64| rest_of_chain(&chain, 0x1000, Some(0x7000), stack, 0x7000 + 24 * frame + 8);
        assert_eq!(rest(4).map(<[u64]>::len), Some(6));
        assert_eq!(rest(5), None);
    }

    #[test]
    fn a_frame_without_frame_pointer_is_not_skipped() {
        let (bytes, chain) = recursion(10, 13);
        let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
        let between = 0x7000 + 24 * 4 + 8 - 8;
        assert_eq!(rest_of_chain(&chain, 0x1000, Some(0x7000), stack, between), None);
    }

    #[test]
    fn a_chain_of_other_making_is_left_alone() {
        let (bytes, mut chain) = recursion(10, 13);
        let stack = StackCopy { start: 0x7000, bytes: &bytes, beyond: None };
        let slot = 0x7000 + 24 * 4 + 8;
        assert_eq!(rest_of_chain(&chain, 0x1004, Some(0x7000), stack, slot), None);
        assert_eq!(rest_of_chain(&chain, 0x1000, None, stack, slot), None);
        chain[2] = 0x2222;
        assert_eq!(rest_of_chain(&chain, 0x1000, Some(0x7000), stack, slot), None);
    }
}
