//! Call trees, filters and ranking.
