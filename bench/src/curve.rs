//! Line charts as SVG: curves over one axis, of a straight or a logarithmic scale.
//!
//! Colours stand in the file itself and read on white and on dark pages. It knows nothing of what is drawn.

use std::fmt::Write as _;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 380.0;
/// Room for the numbers at the left, the names at the right, the title above and the axis below.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
/// Told apart by those who do not see all colours alike (Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7f7f7f"];

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From nothing, evenly.
    Linear,
    /// By powers of ten.
    Log,
}

/// A curve with a name.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: (&'a str, Scale),
    pub(crate) y: (&'a str, Scale),
    pub(crate) curves: Vec<Curve>,
}

/// One axis: from its least to its greatest value on so many units of paper.
#[derive(Clone, Copy, Debug)]
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Axis {
        let most = values.clone().fold(f64::MIN, f64::max);
        match scale {
            Scale::Linear => {
                let step = step(most.max(f64::MIN_POSITIVE));
                Axis { scale, from: 0.0, to: (most / step).ceil().max(1.0) * step }
            }
            Scale::Log => {
                let least = values.filter(|value| *value > 0.0).fold(f64::MAX, f64::min);
                let (from, to) = (least.log10().floor(), most.log10().ceil());
                Axis { scale, from, to: if to > from { to } else { from + 1.0 } }
            }
        }
    }

    /// From 0 to 1.
    fn place(self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        (value - self.from) / (self.to - self.from)
    }

    fn marks(self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.to);
                (0..=(self.to / step).round() as u32).map(|mark| f64::from(mark) * step).collect()
            }
            Scale::Log => (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power)).collect(),
        }
    }
}

/// A round step that makes four to ten marks up to a value.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf(most.log10().floor());
    [0.1, 0.2, 0.5, 1.0]
        .map(|part| part * power)
        .into_iter()
        .find(|step| most / step <= 10.0)
        .unwrap_or(power)
}

impl Chart<'_> {
    /// The drawing.
    pub(crate) fn svg(&self) -> String {
        let all = || self.curves.iter().flat_map(|curve| curve.points.iter().copied());
        let across = Axis::over(self.x.1, all().map(|(x, _)| x));
        let up = Axis::over(self.y.1, all().map(|(_, y)| y));
        let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let place =
            |(x, y): (f64, f64)| (LEFT + across.place(x) * wide, HEIGHT - BOTTOM - up.place(y) * high);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
            escaped(self.title)
        );
        for mark in across.marks() {
            let (x, bottom) = (LEFT + across.place(mark) * wide, HEIGHT - BOTTOM);
            line(&mut svg, (x, TOP), (x, bottom), "#ddd");
            text(&mut svg, (x, bottom + 16.0), "middle", &number(mark));
        }
        for mark in up.marks() {
            let y = HEIGHT - BOTTOM - up.place(mark) * high;
            line(&mut svg, (LEFT, y), (WIDTH - RIGHT, y), "#ddd");
            text(&mut svg, (LEFT - 6.0, y + 4.0), "end", &number(mark));
        }
        text(&mut svg, (LEFT + wide / 2.0, HEIGHT - 10.0), "middle", self.x.0);
        text(&mut svg, (LEFT, TOP - 6.0), "start", self.y.0);
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            // Beyond the colours, lines are told apart by dashes.
            let dashes = if index < COLOURS.len() { "" } else { " stroke-dasharray=\"5 3\"" };
            let points =
                curve.points.iter().map(|point| place(*point)).fold(String::new(), |mut all, (x, y)| {
                    write!(all, "{x:.1},{y:.1} ").expect("a string takes everything");
                    all
                });
            let y = TOP + 12.0 + 18.0 * index as f64;
            let x = WIDTH - RIGHT + 12.0;
            writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>\n\
                 <line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                points.trim_end(),
                x + 18.0
            )
            .expect("a string takes everything");
            text(&mut svg, (x + 24.0, y + 4.0), "start", &curve.name);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    )
    .expect("a string takes everything");
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"#222\">{}</text>",
        at.0,
        at.1,
        escaped(words)
    )
    .expect("a string takes everything");
}

/// A number as short as it can be said.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{} M", value / 1e6),
        size if size >= 1e4 => format!("{} k", value / 1e3),
        _ => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(y: Scale, points: &[(f64, f64)]) -> String {
        let curves = vec![Curve { name: "a < b".to_owned(), points: points.to_vec() }];
        Chart { title: "T", x: ("rows", Scale::Log), y: ("µs", y), curves }.svg()
    }

    #[test]
    fn points_stand_where_the_axes_say() {
        let svg = chart(Scale::Linear, &[(1e3, 50.0), (1e5, 100.0), (1e7, 100.0)]);
        // Left below, in the middle above, right above: the axes go from 1 k to 10 M, and from 0 to 100.
        assert!(svg.contains("points=\"64.0,186.0 317.0,40.0 570.0,40.0\""), "{svg}");
        assert!(svg.contains(">10 M</text>") && svg.contains(">1000</text>") && svg.contains(">100</text>"));
        assert!(svg.contains("a &lt; b"), "names are escaped");
    }

    #[test]
    fn a_chart_of_one_value_has_axes_all_the_same() {
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, &[(1.0, 1.0)]);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(!chart(Scale::Linear, &[(1.0, 0.0)]).contains("NaN"));
    }

    #[test]
    fn steps_are_round_and_neither_few_nor_many() {
        for (most, wanted) in [(1.0, 0.1), (1.5, 0.2), (37.0, 5.0), (80.0, 10.0), (220.0, 50.0)] {
            assert!((step(most) - wanted).abs() < 1e-9, "{most}: {}", step(most));
        }
    }
}
