//! Student's distribution, and the normal one as its limit.

use std::cell::Cell;

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// From here on the normal distribution is used: the two differ by less than 10⁻⁶.
const NORMAL_FROM: f64 = 1e6;

/// The probability of `|T| ≥ |t|` with `df` degrees of freedom; infinite ones mean the normal distribution. 1 if `t` is
/// no number, or there are no degrees of freedom.
pub fn two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() {
        return 1.0;
    }
    let tail = if df >= NORMAL_FROM {
        Normal::new(0.0, 1.0).map(|normal| normal.sf(t.abs())).ok()
    } else {
        StudentsT::new(0.0, 1.0, df).map(|student| student.sf(t.abs())).ok()
    };
    tail.map_or(1.0, |tail| (2.0 * tail).clamp(0.0, 1.0))
}

/// The value below which `T` is with probability `q`; infinite if there are no degrees of freedom.
pub fn quantile(q: f64, df: f64) -> f64 {
    let found = if df >= NORMAL_FROM {
        Normal::new(0.0, 1.0).map(|normal| normal.inverse_cdf(q)).ok()
    } else {
        StudentsT::new(0.0, 1.0, df).map(|student| student.inverse_cdf(q)).ok()
    };
    found.unwrap_or(f64::INFINITY)
}

/// What `|T|` exceeds with a probability of 5 %. Functions of one comparison of blocks all have the same degrees of
/// freedom, and finding a quantile takes longer than all else that is reckoned of a function: the last one is kept.
pub(crate) fn critical(df: f64) -> f64 {
    thread_local!(static LAST: Cell<(f64, f64)> = const { Cell::new((f64::NAN, f64::NAN)) });
    LAST.with(|last| {
        if last.get().0 != df {
            last.set((df, quantile(0.975, df)));
        }
        last.get().1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers: `2*scipy.stats.t.sf(abs(t), df)` and `scipy.stats.t.ppf(q, df)` of scipy 1.17.1.
    #[test]
    fn agrees_with_scipy() {
        for (t, df, p) in [
            (0.0, 18.0, 1.0),
            (1.0, 18.0, 0.330_564_931_278_184_2),
            (2.100_922_040_240_96, 18.0, 0.050_000_000_000_007_64),
            (-3.5, 4.2, 0.022_993_742_455_477_38),
            (12.0, 3.3, 0.000_778_592_121_693_389_1),
            (0.5, 1.0, 0.704_832_764_699_133_5),
            (40.0, 18.0, 4.865_261_692_304_997e-19),
            (1.959_963_984_540_054, f64::INFINITY, 0.05),
        ] {
            let ours = two_sided(t, df);
            assert!((ours - p).abs() <= 1e-9 * p.max(1e-19) + 1e-22, "t {t}, df {df}: {ours} against {p}");
        }
        for (q, df, t) in [
            (0.975, 18.0, 2.100_922_040_241_038),
            (0.975, 2.5, 3.574_654_842_003_682),
            (0.8, 18.0, 0.862_048_667_989_598_9),
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 400.0, 1.965_912_343_229_462_7),
        ] {
            let ours = quantile(q, df);
            assert!((ours - t).abs() < 1e-7, "q {q}, df {df}: {ours} against {t}");
        }
    }

    #[test]
    fn the_quantile_that_is_kept_is_of_its_degrees_of_freedom() {
        for df in [18.0, 18.0, 2.5, f64::INFINITY, 18.0] {
            assert_eq!(critical(df), quantile(0.975, df));
        }
        assert_eq!(critical(f64::NAN), f64::INFINITY);
    }

    #[test]
    fn nonsense_is_no_evidence() {
        assert_eq!(two_sided(f64::NAN, 18.0), 1.0);
        assert_eq!(two_sided(3.0, 0.0), 1.0);
        assert_eq!(two_sided(f64::INFINITY, 18.0), 0.0);
        assert_eq!(quantile(0.975, f64::NAN), f64::INFINITY);
    }
}
