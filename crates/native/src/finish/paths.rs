//! Paths that don't tell who recorded.

use std::borrow::Cow;

use super::SymbolOptions;

/// How to show paths.
pub(super) struct Paths<'a> {
    keep: bool,
    homes: &'a [String],
}

impl<'a> Paths<'a> {
    pub(super) fn new(options: &'a SymbolOptions) -> Self {
        Self { keep: options.keep_paths, homes: &options.homes }
    }

    /// The path with the home folder that it starts with cut to `~`.
    pub(super) fn tidy<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.keep {
            return path.into();
        }
        let given = self.homes.iter().map(|home| home.trim_end_matches('/')).filter(|home| !home.is_empty());
        let rest = given.chain(["/root"]).find_map(|home| in_folder(path, home)).or_else(|| {
            let user = path.strip_prefix("/home/")?;
            Some(&user[user.find('/').unwrap_or(user.len())..])
        });
        rest.map_or(path.into(), |rest| format!("~{rest}").into())
    }
}

/// What follows `folder` in `path`: nothing, or a slash and the rest.
fn in_folder<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_cut_and_nothing_else() {
        let options = SymbolOptions { homes: vec!["/var/lib/pg/".into(), String::new()], ..SymbolOptions::default() };
        let paths = Paths::new(&options);
        for (path, shown) in [
            ("/home/ann/src/a.c", "~/src/a.c"),
            ("/home/ann", "~"),
            ("/root/.cargo/x.rs", "~/.cargo/x.rs"),
            ("/rootfs/x", "/rootfs/x"),
            ("/var/lib/pg/bin", "~/bin"),
            ("/var/lib/pgx", "/var/lib/pgx"),
            ("/usr/home/ann/x", "/usr/home/ann/x"),
            ("src/main.rs", "src/main.rs"),
            ("[vdso]", "[vdso]"),
        ] {
            assert_eq!(paths.tidy(path), shown);
        }
        let keep = SymbolOptions { keep_paths: true, ..SymbolOptions::default() };
        assert_eq!(Paths::new(&keep).tidy("/home/ann/src/a.c"), "/home/ann/src/a.c");
    }
}
