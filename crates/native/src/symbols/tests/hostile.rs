//! Files that are damaged, or made to do harm.

use proptest::prelude::*;

use super::*;

/// Looks up addresses all over a damaged file: anything may be answered, nothing may panic, hang or overflow.
fn survive(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    let requests: Vec<Request> =
        (0..64).map(|index| Request { address: 0x1000 + index * 24, is_return: index % 2 == 0 }).collect();
    let found = run(&row(file.path()), &requests);
    assert_eq!(found.located.len(), requests.len());
}

fn program() -> &'static [u8] {
    static PROGRAM: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::read(build(folder.path(), "c", "gcc", PROGRAM_C, &["-O2", "-g"]).unwrap()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_are_survived(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..30)) {
        let mut bytes = program().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survive(&bytes);
    }

    /// Headers and section headers are where counts, sizes and offsets are.
    #[test]
    fn changed_headers_are_survived(changes in proptest::collection::vec((0..0x400_usize, any::<bool>(), any::<u8>()), 1..10)) {
        let mut bytes = program().to_vec();
        for (at, from_end, byte) in changes {
            let at = if from_end { bytes.len() - 1 - at } else { at };
            bytes[at] = byte;
        }
        survive(&bytes);
    }

    #[test]
    fn cut_files_are_survived(length in any::<proptest::sample::Index>()) {
        let bytes = program();
        survive(&bytes[..length.index(bytes.len())]);
    }
}

/// Assembles `.debug_info` with inlined functions nested 300,000 deep. addr2line would follow them by recursion.
#[test]
fn nesting_without_end_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"
    .text
    .globl main
    .type main, @function
main: nop
    nop
    ret
.Lend:
    .size main, .Lend - main
    .section .debug_abbrev,"",@progbits
    .byte 1, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0
    .byte 2, 0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0
    .byte 3, 0x1d, 1, 0, 0
    .byte 0
    .section .debug_info,"",@progbits
    .long .Linfo_end - .Linfo
.Linfo: .short 4
    .long 0
    .byte 8
    .byte 1
    .quad main, .Lend - main
    .byte 2
    .asciz "named_by_dwarf"
    .quad main, .Lend - main
    .fill DEPTH, 1, 3
    .fill DEPTH, 1, 0
    .byte 0, 0
.Linfo_end:
"#;
    for (depth, expected) in [("20", "named_by_dwarf"), ("300000", "main")] {
        let path = folder.path().join("deep.s");
        std::fs::write(&path, source.replace("DEPTH", depth)).unwrap();
        let out = folder.path().join("deep");
        let status = Command::new("gcc").args(["-nostdlib", "-e", "main", "-o"]).arg(&out).arg(&path).status().unwrap();
        assert!(status.success());
        let (start, _, _) = nm(&out).into_iter().find(|(_, _, name)| name == "main").unwrap();
        let request = Request { address: Headers::of(&out).offset(start), is_return: false };
        let found = run(&row(&out), &[request]);
        assert_eq!(&*found.located[0].functions[0].name.shown, expected);
    }
}
