//! Many tests at once.

/// q-values: the smallest false discovery rate at which each test is a discovery.
///
/// Benjamini & Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57 (1995), in the step-up form of
/// adjusted p-values: `q(i) = min over j ≥ i of p(j)·m/j`.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut q = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (rank, index) in order.iter().enumerate().rev() {
        least = least.min(p[*index] * p.len() as f64 / (rank + 1) as f64);
        q[*index] = least;
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers: `statsmodels.stats.multitest.multipletests(p, method='fdr_bh')[1]` of statsmodels 0.15.0.
    #[test]
    fn agrees_with_statsmodels() {
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005, 0.5, 0.9, 0.041, 0.0001]);
        let third = 0.041 * 8.0 / 6.0;
        let expected = [0.08 / 3.0, third, third, 0.02, 4.0 / 7.0, 0.9, third, 0.0008];
        for (ours, theirs) in q.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-12, "{q:?}");
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
