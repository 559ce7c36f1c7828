//! The plot of a series, as an SVG drawn by hand: messages and bytes for each payment and node against
//! the number of validators, both axes logarithmic.

use super::report::Outcome;
use super::traffic::Kind;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 460.0;
const PANEL: f64 = 360.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 380.0;

/// A line of a panel: name, color, and a value for each run.
type Line<'a> = (&'a str, &'a str, Vec<f64>);

/// Draws the plot.
#[must_use]
pub fn svg(outcomes: &[Outcome]) -> String {
    let kinds = [
        (Kind::Votes, "#c0392b"),
        (Kind::Sampling, "#2471a3"),
        (Kind::Offers, "#7d3c98"),
        (Kind::Blocks, "#b9770e"),
        (Kind::Requests, "#7f8c8d"),
        (Kind::Payments, "#1e8449"),
    ];
    let lines = |of: &dyn Fn(&Outcome, Option<Kind>) -> f64| -> Vec<Line<'static>> {
        let all = ("all", "#111111", outcomes.iter().map(|one| of(one, None)).collect());
        let each = kinds
            .iter()
            .map(|(kind, color)| (kind.name(), *color, outcomes.iter().map(|one| of(one, Some(*kind))).collect()));
        std::iter::once(all).chain(each).collect()
    };
    let sizes: Vec<f64> = outcomes.iter().map(|one| one.shape.validators as f64).collect();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    panel(&mut text, 70.0, "messages for each payment and node", &sizes, &lines(&|one, kind| one.each(kind).0));
    panel(&mut text, 540.0, "bytes for each payment and node", &sizes, &lines(&|one, kind| one.each(kind).1));
    legend(&mut text, &lines(&|_, _| 0.0));
    text.push_str("</svg>\n");
    text
}

/// The powers of ten around positive values.
fn decades(values: impl Iterator<Item = f64>) -> (i32, i32) {
    let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
    let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if logs.is_empty() {
        return (0, 1);
    }
    let (low, high) = (least.floor() as i32, most.ceil() as i32);
    (low, high.max(low + 1))
}

/// 1000 as `1k`, 0.1 as it is.
fn label(power: i32) -> String {
    match power {
        6.. => format!("{}M", 10_f64.powi(power - 6)),
        3..=5 => format!("{}k", 10_f64.powi(power - 3)),
        _ => format!("{}", 10_f64.powi(power)),
    }
}

fn panel(text: &mut String, left: f64, title: &str, sizes: &[f64], lines: &[Line<'_>]) {
    let (low, high) = decades(lines.iter().flat_map(|(_, _, values)| values.iter().copied()));
    let (first, last) = decades(sizes.iter().copied());
    let x = |n: f64| left + (n.log10() - f64::from(first)) / f64::from(last - first) * PANEL;
    let y = |value: f64| BOTTOM - (value.log10() - f64::from(low)) / f64::from(high - low) * (BOTTOM - TOP);
    // Writing to a string does not fail.
    let _ =
        writeln!(text, "<text x=\"{left}\" y=\"{}\" font-size=\"14\" font-weight=\"bold\">{title}</text>", TOP - 22.0);
    for power in low..=high {
        let (at, name) = (y(10_f64.powi(power)), label(power));
        let right = left + PANEL;
        let _ = writeln!(text, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>");
        let _ = writeln!(text, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", left - 6.0, at + 4.0);
    }
    for n in sizes {
        let at = x(*n);
        let _ = writeln!(text, "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#eeeeee\"/>");
        let _ = writeln!(text, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{n}</text>", BOTTOM + 16.0);
    }
    let middle = left + PANEL / 2.0;
    let _ = writeln!(text, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">validators</text>", BOTTOM + 34.0);
    for (name, color, values) in lines {
        let points: Vec<(f64, f64)> =
            sizes.iter().zip(values).filter(|(_, value)| **value > 0.0).map(|(n, value)| (x(*n), y(*value))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let width = if *name == "all" { 3 } else { 2 };
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>",
            path.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
        }
    }
}

fn legend(text: &mut String, lines: &[Line<'_>]) {
    let y = HEIGHT - 18.0;
    for (at, (name, color, _)) in lines.iter().enumerate() {
        let x = 70.0 + 120.0 * at as f64;
        let _ = writeln!(text, "<rect x=\"{x}\" y=\"{}\" width=\"18\" height=\"4\" fill=\"{color}\"/>", y - 5.0);
        let _ = writeln!(text, "<text x=\"{}\" y=\"{y}\">{name}</text>", x + 24.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_covers_its_values_with_whole_powers_of_ten() {
        assert_eq!(decades([3.0, 250.0, 0.0].into_iter()), (0, 3));
        assert_eq!(decades([100.0].into_iter()), (2, 3));
        assert_eq!(decades([0.02].into_iter()), (-2, -1));
        assert_eq!(decades(std::iter::empty()), (0, 1));
        assert_eq!([label(-1), label(2), label(4), label(6)], ["0.1", "100", "10k", "1M"]);
    }
}
