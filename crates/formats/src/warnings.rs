//! Collecting warnings: the same one many times over is one warning with a count.

use burnmark_model::{Position, Warning};

/// How many different warnings are kept: inputs that are wrong everywhere need no more.
const MAX_DIFFERENT: usize = 100;

/// Warnings in order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    list: Vec<Warning>,
}

impl Warnings {
    /// Counts a warning. Texts are compared, so they hold nothing that differs from place to place.
    pub(crate) fn add(&mut self, message: &str, position: Option<Position>) {
        self.add_many(message, position, 1);
    }

    /// Counts a warning this many times; none is none.
    pub(crate) fn add_many(&mut self, message: &str, position: Option<Position>, count: u64) {
        if let Some(warning) = self.list.iter_mut().find(|warning| warning.message == message) {
            warning.count += count;
        } else if self.list.len() < MAX_DIFFERENT && count > 0 {
            self.list.push(Warning { message: message.to_owned(), position, count });
        }
    }

    /// What has been collected.
    pub(crate) fn into_vec(self) -> Vec<Warning> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_warnings_keep_their_first_position_and_are_counted() {
        let mut warnings = Warnings::default();
        for line in 3..6 {
            warnings.add("odd", Some(Position::Line(line)));
        }
        warnings.add("other", None);
        for index in 0..2 * MAX_DIFFERENT {
            warnings.add(&index.to_string(), None);
        }
        let list = warnings.into_vec();
        assert_eq!(list[0].to_string(), "odd (3 times, first at line 3)");
        assert_eq!(list[1].to_string(), "other");
        assert_eq!(list.len(), MAX_DIFFERENT);
    }
}
