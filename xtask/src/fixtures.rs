//! The small target programs of fixtures/programs, built into target/fixtures.

use std::path::Path;

use anyhow::Result;

use crate::shell;

/// Builds every program and says where it is; false when one does not build.
pub(crate) fn report(root: &Path) -> Result<bool> {
    shell::succeeds(shell::command(root, "fixtures/programs/build", &["target/fixtures"]))
}
