//! What a module is, by the name that Linux tools give it.

use burnmark_model::ModuleKind;

/// What the module of this path or bracketed name is.
pub(crate) fn kind_of(path: &str) -> ModuleKind {
    const USER: [&str; 8] = ["[vdso", "[vsyscall", "[heap", "[stack", "[uprobes", "[vectors", "[sigpage", "[unknown"];
    const JIT: [&str; 4] = ["[JIT]", "[anon", "//anon", "/memfd:"];
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let jit_map = name.strip_prefix("perf-").and_then(|rest| rest.strip_suffix(".map"));
    let jit_image = name.strip_prefix("jitted-").is_some_and(|rest| rest.ends_with(".so"));
    if jit_map.is_some_and(is_number) || jit_image || JIT.iter().any(|start| path.starts_with(start)) {
        return ModuleKind::Jit;
    }
    if path.starts_with('[') {
        return if USER.iter().any(|start| path.starts_with(start)) { ModuleKind::User } else { ModuleKind::Kernel };
    }
    let is_object = [".ko", ".ko.xz", ".ko.gz", ".ko.zst"].iter().any(|end| name.ends_with(end));
    let is_image =
        name == "vmlinux" || name.starts_with("vmlinux-") || path == "/proc/kcore" || path == "/proc/kallsyms";
    if is_object || is_image { ModuleKind::Kernel } else { ModuleKind::User }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_apart_by_name() {
        for (path, kind) in [
            ("[kernel.kallsyms]", ModuleKind::Kernel),
            ("[kernel.kallsyms]_text", ModuleKind::Kernel),
            ("[guest.kernel.kallsyms]", ModuleKind::Kernel),
            ("[nf_conntrack]", ModuleKind::Kernel),
            ("/lib/modules/6.1/kernel/fs/ext4/ext4.ko.xz", ModuleKind::Kernel),
            ("[vdso]", ModuleKind::User),
            ("[anon:v8]", ModuleKind::Jit),
            ("[stack:123]", ModuleKind::User),
            ("[unknown]", ModuleKind::User),
            ("[JIT]", ModuleKind::Jit),
            ("/tmp/perf-4711.map", ModuleKind::Jit),
            ("/tmp/perf-x.map", ModuleKind::User),
            ("/tmp/jitted-12-3.so", ModuleKind::Jit),
            ("/boot/vmlinux-6.1", ModuleKind::Kernel),
            ("/memfd:doublemapper (deleted)", ModuleKind::Jit),
            ("/usr/lib/libc.so.6", ModuleKind::User),
            ("", ModuleKind::User),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }
}
