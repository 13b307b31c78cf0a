//! Samples as columns.

use crate::profile::{LabelSetId, StackId, ThreadId};

/// One sample without its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The call stack; `None` is the empty stack.
    pub stack: Option<StackId>,
    /// The thread, if known.
    pub thread: Option<ThreadId>,
    /// When, in nanoseconds on the input's own clock, if known.
    pub time_ns: Option<i64>,
    /// Its labels, if it has any.
    pub labels: Option<LabelSetId>,
}

/// The values of one value type would sum to more than `i64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values of column {column} add up to more than 2^63")]
pub struct ValueOverflow {
    /// Index of the value type.
    pub column: usize,
}

/// Stands for an unknown time in the column of times.
const NO_TIME: i64 = i64::MIN;

/// All samples of a profile: columns of equal length. Columns that no sample uses take no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    stacks: Vec<Option<StackId>>,
    threads: Vec<Option<ThreadId>>,
    times: Vec<i64>,
    labels: Vec<Option<LabelSetId>>,
    values: Vec<Vec<i64>>,
    /// Per value type, the sum of absolute values.
    magnitude: Vec<i64>,
}

impl Samples {
    /// No samples, with this many values each.
    pub fn new(value_types: usize) -> Self {
        Self { values: vec![Vec::new(); value_types], magnitude: vec![0; value_types], ..Self::default() }
    }

    /// Samples with a time each, whose columns were made one by one: `values` has one column per value type.
    ///
    /// # Errors
    /// When the values of a type would not sum to an `i64`.
    ///
    /// # Panics
    /// If the columns are not of equal length.
    pub fn from_columns(
        stacks: Vec<Option<StackId>>,
        mut threads: Vec<Option<ThreadId>>,
        times: Vec<i64>,
        values: Vec<Vec<i64>>,
    ) -> Result<Self, ValueOverflow> {
        let is_whole = threads.len() == stacks.len() && times.len() == stacks.len();
        assert!(is_whole && values.iter().all(|values| values.len() == stacks.len()), "columns of equal length");
        let magnitude = |(column, values): (usize, &Vec<i64>)| {
            let add = |sum: i64, value: &i64| sum.checked_add(i64::try_from(value.unsigned_abs()).ok()?);
            values.iter().try_fold(0, add).ok_or(ValueOverflow { column })
        };
        let magnitude = values.iter().enumerate().map(magnitude).collect::<Result<_, _>>()?;
        if threads.iter().all(Option::is_none) {
            threads = Vec::new();
        }
        Ok(Self { stacks, threads, times, labels: Vec::new(), values, magnitude })
    }

    /// Makes room for this many more samples. Columns that no sample uses still take no memory.
    pub fn reserve(&mut self, additional: usize) {
        self.stacks.reserve(additional);
        self.values.iter_mut().for_each(|column| column.reserve(additional));
    }

    /// Adds a sample with one value per value type.
    ///
    /// # Errors
    /// When the values of a type would no longer sum to an `i64`. The sample is not added then.
    ///
    /// # Panics
    /// If `values` has not one value per value type.
    pub fn push(&mut self, sample: Sample, values: &[i64]) -> Result<(), ValueOverflow> {
        assert_eq!(values.len(), self.values.len(), "one value per value type");
        for (column, value) in values.iter().enumerate() {
            if !self.fits(column, *value) {
                return Err(ValueOverflow { column });
            }
        }
        let before = self.stacks.len();
        self.stacks.push(sample.stack);
        let room = self.stacks.capacity();
        push_sparse(&mut self.threads, before, room, sample.thread, None);
        push_sparse(&mut self.times, before, room, sample.time_ns.unwrap_or(NO_TIME), NO_TIME);
        push_sparse(&mut self.labels, before, room, sample.labels, None);
        for (column, value) in values.iter().enumerate() {
            self.magnitude[column] += value.unsigned_abs() as i64;
            self.values[column].push(*value);
        }
        Ok(())
    }

    fn fits(&self, column: usize, value: i64) -> bool {
        i64::try_from(value.unsigned_abs()).is_ok_and(|value| self.magnitude[column].checked_add(value).is_some())
    }

    /// Adds a value type, with a value of 0 for the samples that are there, and returns its index.
    pub fn add_column(&mut self) -> usize {
        self.values.push(vec![0; self.len()]);
        self.magnitude.push(0);
        self.values.len() - 1
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// The sample at `index`.
    pub fn get(&self, index: usize) -> Sample {
        Sample {
            stack: self.stacks[index],
            thread: self.threads.get(index).copied().flatten(),
            time_ns: self.times.get(index).copied().filter(|time| *time != NO_TIME),
            labels: self.labels.get(index).copied().flatten(),
        }
    }

    /// All samples in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sample> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The stack of every sample.
    pub fn stacks(&self) -> &[Option<StackId>] {
        &self.stacks
    }

    /// One value type's value of every sample.
    pub fn values(&self, column: usize) -> &[i64] {
        &self.values[column]
    }

    /// How many value types there are.
    pub fn columns(&self) -> usize {
        self.values.len()
    }

    /// The sum of one value type over all samples.
    pub fn total(&self, column: usize) -> i64 {
        self.values[column].iter().sum()
    }

    /// Whether any sample has a time.
    pub fn have_times(&self) -> bool {
        !self.times.is_empty()
    }

    /// First and last time in nanoseconds.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let known = || self.times.iter().copied().filter(|time| *time != NO_TIME);
        Some((known().min()?, known().max()?))
    }
}

/// Appends to a column that stays empty until the first entry that is not `none`.
fn push_sparse<T: Copy + PartialEq>(column: &mut Vec<T>, samples_before: usize, room: usize, entry: T, none: T) {
    if !column.is_empty() {
        column.push(entry);
    } else if entry != none {
        column.reserve(room);
        column.resize(samples_before, none);
        column.push(entry);
    }
}
