//! Kernel symbols against `/proc/kallsyms` read plainly, and against perf.

use super::*;

#[test]
fn restricted_and_unreadable_kallsyms_are_told_apart() {
    let parse = |text: &str| Kallsyms::parse(text.as_bytes().to_vec()).map(|kallsyms| kallsyms.len());
    assert_eq!(parse("0000000000000000 T _text\n0000000000000000 t foo\t[mod]\n"), Err(NoKernelSymbols::Restricted));
    assert_eq!(parse(""), Err(NoKernelSymbols::Unreadable));
    assert_eq!(
        parse("rubbish\n\nxyz T a\n1 T\n1\n12345678901234567 T a\n1 D data\n"),
        Err(NoKernelSymbols::Unreadable)
    );
    assert_eq!(Kallsyms::read(Path::new("/nowhere")).err(), Some(NoKernelSymbols::Unreadable));
}

#[test]
fn kernel_functions_modules_and_gaps() {
    let text = "ffffffff81000000 T _stext\nffffffff81000000 W weak\nffffffff81000100 t helper\n\
        ffffffff81000140 D data\nffffffff81000180 T last\nffffffffc0000000 t init\t[ext4]\nffffffffc0000010 t fini\t[ext4]\n";
    let kallsyms = Kallsyms::parse(text.as_bytes().to_vec()).unwrap();
    let find = |address| kallsyms.find(address).map(|found| (std::str::from_utf8(found.name).unwrap(), found.module));
    let kernel = "[kernel.kallsyms]";
    assert_eq!(find(0xffff_ffff_8100_00ff), Some(("_stext", kernel)));
    assert_eq!(find(0xffff_ffff_8100_0100), Some(("helper", kernel)));
    assert_eq!(find(0xffff_ffff_8100_0150), Some(("helper", kernel)));
    assert_eq!(find(0xffff_ffff_8100_1fff), Some(("last", kernel)));
    assert_eq!(find(0xffff_ffff_9000_0000), None);
    assert_eq!(find(0xffff_ffff_c000_0004), Some(("init", "[ext4]")));
    assert_eq!(find(0xffff_ffff_c000_0010), Some(("fini", "[ext4]")));
    assert_eq!(find(0xffff_ffff_c000_1fff), Some(("fini", "[ext4]")));
    assert_eq!(find(0xffff_ffff_c000_2000), None);
    assert_eq!(find(5), None);
}

/// Every kernel address that perf names in a recording of the whole machine gets the same name here.
#[test]
fn kernel_names_agree_with_perf() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("perf.data");
    let data = data.to_str().unwrap();
    let record = ["record", "-q", "-e", "cpu-clock", "-F", "4000", "-a", "-g", "-o", data, "--"];
    let load = ["dd", "if=/dev/zero", "of=/dev/null", "bs=4k", "count=300000"];
    let status = Command::new("perf").args(record).args(load).output();
    if !status.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED kernel_names_agree_with_perf: perf can't record the whole machine here");
        return;
    }
    let kallsyms = match Kallsyms::read(Path::new("/proc/kallsyms")) {
        Ok(kallsyms) => kallsyms,
        Err(why) => {
            eprintln!("SKIPPED kernel_names_agree_with_perf: no kernel symbols: {why:?}");
            return;
        }
    };
    let text = output("perf", &["script", "-i", data, "-F", "ip,sym,symoff,dso", "--no-inline"]);
    let mut compared = std::collections::HashSet::new();
    let mut different = Vec::new();
    for line in text.lines().filter(|line| line.ends_with("([kernel.kallsyms])")) {
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next().unwrap(), 16).unwrap();
        let Some((name, _)) = fields.next().unwrap().rsplit_once("+0x") else { continue };
        if compared.insert(address) {
            let found = kallsyms.find(address).map(|found| String::from_utf8_lossy(found.name).into_owned());
            if found.as_deref() != Some(name) {
                different.push((address, name.to_owned(), found));
            }
        }
    }
    eprintln!("{} kernel addresses, {} differ: {different:x?}", compared.len(), different.len());
    assert!(compared.len() > 50, "{}", compared.len());
    // Of several names for one address perf takes another one now and then.
    assert!(different.len() * 50 <= compared.len());
}
