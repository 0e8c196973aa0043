//! The ratios as a picture: a bar for each row and system on a logarithmic scale, with the least and the most of all rounds and the target.
//!
//! It brings its own background, so that it can be read on a light and on a dark page.

use std::fmt::Write as _;

use super::report::{Comparison, Report, Spread};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 60.0;
const LINE: f64 = 22.0;
const TOP: f64 = 58.0;

const STYLE: &str = "\
.page{fill:#fbfbfa}.word{fill:#222;font:13px sans-serif}.small{fill:#666;font:11px sans-serif}.line{stroke:#ccc}.one{stroke:#555}
.met{fill:#3a7d5c}.missed{fill:#c2553d}.plain{fill:#6f8fb5}.spread{stroke:#111;stroke-width:1.5}.target{stroke:#b8860b;stroke-width:2.5}
@media (prefers-color-scheme:dark){.page{fill:#1d2127}.word{fill:#e4e4e0}.small{fill:#a0a4aa}.line{stroke:#3a4048}.one{stroke:#9aa0a8}
.met{fill:#5fb48a}.missed{fill:#e07a5f}.plain{fill:#86a7cf}.spread{stroke:#f4f4f4}.target{stroke:#e6b84c}}
";

/// The picture of those comparisons that are ratios of work on 32 connections or on none in particular.
pub(super) fn svg(report: &Report) -> String {
    let is_shown = |line: &&Comparison| line.ratio.is_some() && !matches!(line.connections, Some(1 | 256));
    let lines: Vec<&Comparison> = report.comparisons.iter().filter(is_shown).collect();
    let ratios = lines.iter().filter_map(|line| line.ratio);
    let most = ratios.map(|ratio| ratio.max).fold(10.0, f64::max);
    let least = lines.iter().filter_map(|line| line.ratio).map(|ratio| ratio.min).fold(0.5, f64::min);
    let scale = Scale { least: least.max(0.001), most };
    let height = LINE.mul_add(lines.len() as f64, TOP) + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Mainstay beside others, as ratios</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"word\" x=\"14\" y=\"24\">How many times as much Mainstay does: median, least and most of all rounds</text>\n"
    );
    let mut write = |text: String| svg.push_str(&text);
    for mark in [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0] {
        if mark < scale.least || mark > scale.most {
            continue;
        }
        let (x, class) = (scale.at(mark), if mark == 1.0 { "one" } else { "line" });
        let bottom = height - 14.0;
        write(format!(
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"50\" y2=\"{bottom:.1}\"/>\n\
             <text class=\"small\" x=\"{x:.1}\" y=\"44\" text-anchor=\"middle\">{mark}</text>\n"
        ));
    }
    for (place, line) in lines.iter().enumerate() {
        write(bar(line, LINE.mul_add(place as f64, TOP), &scale));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a ratio stands.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn at(&self, ratio: f64) -> f64 {
        let part = (ratio.max(self.least) / self.least).ln() / (self.most / self.least).ln();
        part.mul_add(WIDTH - LEFT - RIGHT, LEFT)
    }
}

fn bar(line: &Comparison, y: f64, scale: &Scale) -> String {
    let Some(Spread { min, median, max }) = line.ratio else { return String::new() };
    let class = match line.met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "plain",
    };
    let (one, end) = (scale.at(1.0), scale.at(median));
    let (from, width) = (one.min(end), (end - one).abs().max(1.0));
    let middle = y + 8.0;
    let name =
        escaped(&format!("{} ({}) / {}", line.row, short(&line.on), line.beside.as_deref().unwrap_or("")));
    let mut text = format!(
        "<text class=\"small\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\n\
         <rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\"/>\n\
         <line class=\"spread\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\n",
        LEFT - 8.0,
        y + 12.0,
        y + 1.0,
        scale.at(min),
        scale.at(max),
    );
    let target =
        line.target.as_deref().and_then(|target| target.trim_start_matches("≥ ").parse::<f64>().ok());
    if let Some(x) = target.map(|target| scale.at(target)) {
        let (top, bottom) = (y - 1.0, y + 17.0);
        writeln!(
            text,
            "<line class=\"target\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        )
        .expect("text takes text");
    }
    let right = scale.at(max).max(one) + 6.0;
    writeln!(
        text,
        "<text class=\"small\" x=\"{right:.1}\" y=\"{:.1}\">{}</text>",
        y + 12.0,
        super::report::shown(median)
    )
    .expect("text takes text");
    text
}

/// A database's name as the picture has room for it.
fn short(on: &str) -> &str {
    match on {
        "SQLite, synchronous=NORMAL" => "SQLite, normal",
        other => other,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::report;

    /// Every tag that opens is closed in its order, and no text has a letter that is a tag's.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let Some((tag, text)) = piece.split_once('>') else { return false };
            if text.contains('>') && !open.contains(&"style") && open.last() != Some(&"style") {
                return false;
            }
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if tag.starts_with('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(name);
            }
            if tag.matches('"').count() % 2 == 1 || tag.contains("NaN") || tag.contains("inf") {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn the_picture_is_well_formed_and_has_a_bar_for_each_ratio() {
        let svg = svg(&report());
        assert!(is_well_formed(&svg), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 3, "a page and two ratios");
        assert_eq!(svg.matches("class=\"target\"").count(), 2);
        assert!(svg.contains("get &lt;by&gt; id"));
        assert!(svg.contains("class=\"missed\"") && svg.contains("class=\"met\""));
    }

    #[test]
    fn a_ratio_of_one_stands_between_less_and_more() {
        let scale = Scale { least: 0.5, most: 10.0 };
        assert!(scale.at(0.5) < scale.at(1.0) && scale.at(1.0) < scale.at(10.0));
        assert!((scale.at(0.5) - LEFT).abs() < 0.01 && (scale.at(10.0) - (WIDTH - RIGHT)).abs() < 0.01);
    }
}
