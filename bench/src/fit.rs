//! How fast something grows: a straight line through points, with the error of its slope, the steepest power of two neighbours, and from
//! when on values vary around one.
//!
//! It knows numbers alone.

/// A line through points by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// What y grows by for each x.
    pub(crate) slope: f64,
    /// The standard error of the slope.
    pub(crate) error: f64,
}

/// The line that fits points best; none where they do not say one. The error counts only what is left after averaging
/// within `blocks` neighbours, since samples of a second do not vary independently of the one before.
pub(crate) fn line(points: &[(f64, f64)], block: usize) -> Option<Line> {
    let mean = |points: &[(f64, f64)]| {
        let count = points.len() as f64;
        let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / count, sum.1 / count)
    };
    let points: Vec<(f64, f64)> = points.chunks_exact(block.max(1)).map(mean).collect();
    if points.len() < 3 {
        return None;
    }
    let (x_mean, y_mean) = mean(&points);
    let spread: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    if spread == 0.0 {
        return None;
    }
    let slope = together / spread;
    let left: f64 = points.iter().map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2)).sum();
    let error = (left / (points.len() as f64 - 2.0) / spread).sqrt();
    Some(Line { slope, error })
}

/// How many values at the beginning belong to a warm-up: without them, the mean of the others is known best. Half of them at most, so
/// that what keeps growing is seen to grow.
///
/// The marginal standard error rule: White, "An effective truncation heuristic for bias reduction in simulation output", 1997.
pub(crate) fn warm_up(values: &[f64]) -> usize {
    let error = |from: usize| {
        let (rest, count) = (&values[from..], (values.len() - from) as f64);
        let mean = rest.iter().sum::<f64>() / count;
        rest.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count * count)
    };
    (0..=values.len() / 2).min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(0)
}

/// The steepest power by which y grows with x between two neighbours: 0 is constant, 1 linear. A logarithm's is 1/ln x: 0.14
/// at a thousand, 0.06 at ten millions.
pub(crate) fn power(points: &[(f64, f64)]) -> f64 {
    let between = |pair: &[(f64, f64)]| (pair[1].1 / pair[0].1).ln() / (pair[1].0 / pair[0].0).ln();
    points.windows(2).map(between).fold(f64::NEG_INFINITY, f64::max)
}

/// The value below which this part of the values lies; they are sorted for it. NaN where there is none.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * part) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_through_noise_and_its_error_covers_the_noise() {
        let exact: Vec<(f64, f64)> = (0..100).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x))).collect();
        let found = line(&exact, 1).unwrap();
        assert!((found.slope - 0.5).abs() < 1e-9 && found.error < 1e-9, "{found:?}");
        // A noise that turns around from one sample to the next.
        let noisy: Vec<(f64, f64)> =
            exact.iter().map(|(x, y)| (*x, y + if *x as i32 % 2 == 0 { 1.0 } else { -1.0 })).collect();
        let found = line(&noisy, 1).unwrap();
        assert!((found.slope - 0.5).abs() < 2.0 * found.error && found.error < 0.01, "{found:?}");
        assert!((line(&noisy, 10).unwrap().slope - 0.5).abs() < 1e-9, "averaged away");
        assert_eq!(line(&exact[..2], 1), None);
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], 1), None);
    }

    #[test]
    fn a_warm_up_ends_where_values_begin_to_vary_around_one() {
        let wobble = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 };
        let steps: Vec<f64> =
            (0..60).map(|at| if at < 17 { 60.0 + at as f64 } else { 85.0 } + wobble(at)).collect();
        assert_eq!(warm_up(&steps), 17);
        let flat: Vec<f64> = (0..60).map(|at| 85.0 + wobble(at)).collect();
        assert!(warm_up(&flat) <= 1);
        let leak: Vec<f64> = (0..60).map(|at| 85.0 + at as f64 + wobble(at)).collect();
        assert!(warm_up(&leak) >= 29, "as much as may be, and it still grows");
        assert_eq!(warm_up(&[]), 0);
    }

    #[test]
    fn a_power_tells_a_logarithm_from_a_root_and_the_steepest_part_counts() {
        let sizes = [1e3, 1e5, 1e7];
        let grown = |how: fn(f64) -> f64| power(&sizes.map(|size| (size, how(size))));
        assert!(grown(|_| 7.0).abs() < 1e-9);
        assert!(grown(f64::ln) < 0.15);
        assert!((grown(f64::sqrt) - 0.5).abs() < 1e-9);
        assert!((grown(|x| x) - 1.0).abs() < 1e-9);
        // Hidden at first by what a request costs anyway.
        assert!(grown(|x| 50.0 + 0.0001 * x) > 0.3);
    }

    #[test]
    fn quantiles_are_of_sorted_values() {
        let mut values = vec![3.0, 1.0, 2.0, 4.0];
        assert_eq!(quantile(&mut values, 0.5), 3.0);
        assert_eq!(quantile(&mut values, 1.0), 4.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
