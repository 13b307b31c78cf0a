//! Readers and writers of profile formats: bytes to [`burnmark_model::Profile`] and back.
