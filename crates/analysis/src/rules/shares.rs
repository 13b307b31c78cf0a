//! How much of a profile is in each category.

use burnmark_model::{FrameId, Profile};

use super::{Category, Rules};
use crate::Error;
use crate::place::{MergeBy, Places};
use crate::weights::{Weights, share};

/// What a category has of a profile by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryShare<'r> {
    /// The category; `None` for functions that have none.
    pub category: Option<&'r Category>,
    /// Value of the samples that end in its functions, as stored.
    pub self_value: i64,
    /// That as a fraction of all.
    pub self_share: f64,
}

/// The categories of a profile's frames, each distinct function looked up once.
pub(crate) struct Categories<'p> {
    pub(crate) places: Places<'p>,
    /// Per place, index into [`Rules::categories`].
    of_place: Vec<Option<usize>>,
}

impl<'p> Categories<'p> {
    pub(crate) fn new(profile: &'p Profile, rules: &Rules) -> Self {
        let places = Places::new(profile, MergeBy::Function);
        let of_place = places.places.iter().map(|place| rules.number_of_place(place, MergeBy::Function)).collect();
        Self { places, of_place }
    }

    /// The number of a frame's category.
    pub(crate) fn of(&self, frame: FrameId) -> Option<usize> {
        self.of_place[self.places.of(frame) as usize]
    }
}

impl Rules {
    /// What each category has of a profile by itself, the largest first; together with what has no category, all.
    ///
    /// # Errors
    /// When there is no such value type.
    pub fn shares(&self, profile: &Profile, value: usize) -> Result<Vec<CategoryShare<'_>>, Error> {
        let weights = Weights::new(profile, value)?;
        let categories = Categories::new(profile, self);
        let mut values = vec![0; self.categories.len() + 1];
        let none = self.categories.len();
        values[none] = weights.empty;
        for (id, stack) in profile.stacks.iter() {
            values[categories.of(stack.frame).unwrap_or(none)] += weights.own(id);
        }
        let mut shares: Vec<CategoryShare<'_>> = values
            .into_iter()
            .enumerate()
            .filter(|(_, value)| *value != 0)
            .map(|(index, self_value)| CategoryShare {
                category: self.categories.get(index),
                self_value,
                self_share: share(self_value, weights.base),
            })
            .collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.self_value.unsigned_abs()));
        Ok(shares)
    }
}
