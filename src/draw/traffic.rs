//! What left the frontend over time, one lane a run, under one another on one time axis.
//!
//! Lanes and not one heap of lines: a frontend is either busy or it is not, so lines of several runs would lie on each
//! other. All lanes have the same scale in both directions, so areas compare: an area is the bytes that left. A line in
//! a lane is what all machines together got meanwhile, from the frontend and from each other.

use super::escape;
use super::scale::{Scale, bit_rate_unit, time_unit};
use std::fmt::Write;

/// Runs drawn at most; the rest is counted below the picture.
const RUNS_MAX: usize = 12;
/// Columns of a lane at most, and the least time of one: finer samples are put together, their bytes kept.
const COLUMNS: usize = 420;
const COLUMN_SECS_MIN: f64 = 0.1;
/// Moments after this one (30 years) are no measurement.
const SECS_MAX: f64 = 1e9;
const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 28.0;
const HEAD: f64 = 74.0;
const LANE: f64 = 92.0;
const LANE_HEAD: f64 = 34.0;
const FOOT: f64 = 50.0;

/// A counter of bytes at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Seconds since the run began.
    pub at_secs: f64,
    /// Bytes sent since then.
    pub bytes: u64,
}

/// One run: how the frontend's counter rose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What ran ("as a swarm").
    pub name: String,
    /// What it came to, in a few words ("16 machines in 3.1 s, 1.02 copies").
    pub note: String,
    /// When the last machine was done, in seconds since the run began; a mark in the lane.
    pub end_secs: Option<f64>,
    /// The counter, in order of time; it need not be sampled evenly.
    pub samples: Vec<Sample>,
    /// What the machines had got together by then, in order of time; empty where nobody counted it.
    pub taken: Vec<Sample>,
}

/// A picture of a sender's traffic over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    /// What is seen ("What left the frontend").
    pub title: String,
    /// Under which circumstances ("16 machines, 32 MB each, links of 100 Mbit/s").
    pub subtitle: String,
    /// What the sender's link carries, in bits per second; drawn as a line.
    pub link_bits_per_sec: Option<f64>,
    /// The runs, the first on top.
    pub runs: Vec<Run>,
}

impl Run {
    /// The run without moments that are no moments: not a number, negative, beyond [`SECS_MAX`].
    fn cleaned(&self) -> Self {
        let sane = |secs: &f64| (0.0..=SECS_MAX).contains(secs);
        let kept = |samples: &[Sample]| samples.iter().filter(|sample| sane(&sample.at_secs)).copied().collect();
        Self {
            name: self.name.clone(),
            note: self.note.clone(),
            end_secs: self.end_secs.filter(sane),
            samples: kept(&self.samples),
            taken: kept(&self.taken),
        }
    }

    /// When anything last happened.
    fn last_secs(&self) -> f64 {
        let sampled = self.samples.last().map_or(0.0, |sample| sample.at_secs);
        self.end_secs.unwrap_or(0.0).max(sampled)
    }

    /// What of this counter falls into each of the columns, each `column_secs` wide, in bits per second.
    fn rates(&self, counter: &[Sample], column_secs: f64) -> Vec<f64> {
        let columns = (self.last_secs() / column_secs).ceil() as usize;
        let edges: Vec<f64> = (0..=columns.min(COLUMNS)).map(|i| bytes_at(counter, i as f64 * column_secs)).collect();
        edges.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0) * 8.0 / column_secs).collect()
    }
}

/// The counter at `secs`, between two samples in proportion.
fn bytes_at(counter: &[Sample], secs: f64) -> f64 {
    let next = counter.partition_point(|sample| sample.at_secs <= secs);
    let before = next.checked_sub(1).map_or((0.0, 0.0), |i| (counter[i].at_secs, counter[i].bytes as f64));
    match counter.get(next) {
        Some(after) if after.at_secs > before.0 => {
            let share = (secs - before.0) / (after.at_secs - before.0);
            before.1 + share * (after.bytes as f64 - before.1).max(0.0)
        }
        _ => before.1,
    }
}

/// The scales that all lanes share.
struct Axes {
    time: Scale,
    rate: Scale,
    column_secs: f64,
}

impl Axes {
    fn new(traffic: &Traffic, runs: &[Run]) -> Self {
        let longest = runs.iter().map(Run::last_secs).fold(1e-3, f64::max);
        let time = Scale::until(longest * 1.02, 10);
        let column_secs = (time.end / COLUMNS as f64).max(COLUMN_SECS_MIN.min(time.end / 10.0));
        let rates = runs
            .iter()
            .flat_map(|run| [&run.samples, &run.taken].map(|counter| run.rates(counter, column_secs)))
            .flatten();
        let largest = rates.chain(traffic.link_bits_per_sec).filter(|rate| rate.is_finite()).fold(1.0, f64::max);
        Self { time, rate: Scale::until(largest * 1.02, 3), column_secs }
    }

    fn x(&self, secs: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (secs / self.time.end).clamp(0.0, 1.0)
    }

    /// Pixels above a lane's floor.
    fn height(&self, bits_per_sec: f64) -> f64 {
        LANE * (bits_per_sec / self.rate.end).clamp(0.0, 1.0)
    }
}

const STYLE: &str = "\
svg{color-scheme:light dark;font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;--paper:#fff;\
--ink:#1b1f24;--soft:#57606a;--grid:#d8dee4;--c0:#c2410c;--c1:#0b67c2;--c2:#0f7b57;--c3:#8a3ffc;--c4:#a8325e;--c5:#7a5b00}
@media (prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9aa4af;--grid:#2b323b;--c0:#ff9a5c;\
--c1:#6cb6ff;--c2:#4fd1a1;--c3:#c3a6ff;--c4:#ff8fb3;--c5:#e3b341}}
text{fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:20px;font-weight:600}.name{font-weight:600}
.tick{font-size:11.5px;fill:var(--soft);font-variant-numeric:tabular-nums}.grid{stroke:var(--grid)}.floor{stroke:var(--soft)}
.link{stroke:var(--soft);stroke-dasharray:5 4}.taken{fill:none;stroke-width:1.6;stroke-linejoin:round}.end{stroke-width:1.5;stroke-dasharray:2 2}.area{fill-opacity:.28;stroke-width:1.4;stroke-linejoin:round}";

impl Traffic {
    /// The picture as SVG 1.1: readable in light and dark, without scripts or anything from elsewhere.
    pub fn to_svg(&self) -> String {
        let runs: Vec<Run> = self.runs.iter().take(RUNS_MAX).map(Run::cleaned).collect();
        let axes = Axes::new(self, &runs);
        let height = HEAD + runs.len().max(1) as f64 * (LANE_HEAD + LANE) + FOOT;
        let (title, subtitle) = (escape(&self.title), escape(&self.subtitle));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\">\n\
             <title>{title}</title>\n<desc>{}</desc>\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" rx=\"8\" style=\"fill:var(--paper)\"/>\n\
             <text class=\"title\" x=\"20\" y=\"34\">{title}</text>\n<text class=\"soft\" x=\"20\" y=\"56\">{subtitle}</text>\n",
            description(&runs)
        );
        for (number, run) in runs.iter().enumerate() {
            let floor = HEAD + (number + 1) as f64 * (LANE_HEAD + LANE);
            self.lane(&mut svg, &axes, run, number, floor);
        }
        if runs.is_empty() {
            put(
                &mut svg,
                format_args!("<text class=\"soft\" x=\"{LEFT}\" y=\"{:.0}\">nothing was measured</text>", HEAD + LANE),
            );
        }
        self.time_axis(&mut svg, &axes, height - FOOT);
        svg.push_str("</svg>\n");
        svg
    }

    fn lane(&self, svg: &mut String, axes: &Axes, run: &Run, number: usize, floor: f64) {
        let (unit, unit_name) = bit_rate_unit(axes.rate.end);
        let decimals = axes.rate.decimals(unit);
        let colour = format!("var(--c{})", number % 6);
        let head = floor - LANE - 14.0;
        put(
            svg,
            format_args!(
                "<g>\n<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"11\" height=\"11\" rx=\"2\" style=\"fill:{colour}\"/>",
                head - 10.0
            ),
        );
        let (name, note) = (escape(&run.name), escape(&run.note));
        put(
            svg,
            format_args!(
                "<text x=\"{:.0}\" y=\"{head:.1}\"><tspan class=\"name\">{name}</tspan><tspan class=\"soft\" dx=\"10\">{note}</tspan></text>",
                LEFT + 18.0
            ),
        );
        for tick in axes.rate.ticks() {
            let y = floor - axes.height(tick);
            let class = if tick == 0.0 { "floor" } else { "grid" };
            put(
                svg,
                format_args!(
                    "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                    WIDTH - RIGHT
                ),
            );
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" text-anchor=\"end\" x=\"{:.0}\" y=\"{:.1}\">{:.decimals$}</text>",
                    LEFT - 7.0,
                    y + 4.0,
                    tick / unit
                ),
            );
        }
        if number == 0 {
            put(svg, format_args!("<text class=\"tick\" x=\"20\" y=\"{head:.1}\">{unit_name}</text>"));
        }
        if let Some(path) = outline(axes, &run.rates(&run.samples, axes.column_secs), floor) {
            put(svg, format_args!("<path class=\"area\" style=\"fill:{colour};stroke:{colour}\" d=\"{path}\"/>"));
        }
        if !run.taken.is_empty()
            && let Some(path) = outline(axes, &run.rates(&run.taken, axes.column_secs), floor)
        {
            put(
                svg,
                format_args!(
                    "<path class=\"taken\" style=\"stroke:{colour}\" d=\"{path}\"><title>all machines together</title></path>"
                ),
            );
        }
        if let Some(link) = self.link_bits_per_sec {
            let y = floor - axes.height(link);
            put(
                svg,
                format_args!(
                    "<line class=\"link\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>the link</title></line>",
                    WIDTH - RIGHT
                ),
            );
        }
        if let Some(end) = run.end_secs {
            let x = axes.x(end);
            let (anchor, dx) = if end > axes.time.end * 0.8 { ("end", -5.0) } else { ("start", 5.0) };
            put(
                svg,
                format_args!(
                    "<line class=\"end\" style=\"stroke:{colour}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{floor:.1}\"/>",
                    floor - LANE
                ),
            );
            put(
                svg,
                format_args!(
                    "<text text-anchor=\"{anchor}\" x=\"{:.1}\" y=\"{:.1}\">all done after {}</text>",
                    x + dx,
                    floor - LANE / 2.0 - 8.0,
                    seconds(end)
                ),
            );
        }
        svg.push_str("</g>\n");
    }

    fn time_axis(&self, svg: &mut String, axes: &Axes, floor: f64) {
        let (unit, name) = time_unit(axes.time.end);
        let axis = if unit == 1.0 { axes.time.clone() } else { Scale::until(axes.time.end / unit, 10) };
        let decimals = axis.decimals(1.0);
        for tick in axis.ticks() {
            let x = axes.x(tick * unit);
            put(
                svg,
                format_args!(
                    "<line class=\"floor\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor:.1}\" y2=\"{:.1}\"/>",
                    floor + 5.0
                ),
            );
            put(
                svg,
                format_args!(
                    "<text class=\"tick\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{tick:.decimals$} {name}</text>",
                    floor + 19.0
                ),
            );
        }
        let mut legend = "time since the machines started".to_owned();
        if let Some(link) = self.link_bits_per_sec {
            let (unit, name) = bit_rate_unit(link);
            let _ = write!(legend, "; dashed: the frontend's link, {} {name}", trimmed(link / unit));
        }
        if self.runs.iter().any(|run| !run.taken.is_empty()) {
            legend.push_str("; area: what left the frontend, line: what all machines got together");
        }
        if self.runs.len() > RUNS_MAX {
            let _ = write!(legend, "; {} more runs are not drawn", self.runs.len() - RUNS_MAX);
        }
        put(svg, format_args!("<text class=\"tick\" x=\"{LEFT}\" y=\"{:.1}\">{legend}</text>", floor + 38.0));
    }
}

/// The picture in words, for who cannot see it.
fn description(runs: &[Run]) -> String {
    let told: Vec<String> = runs.iter().map(|run| format!("{}: {}", run.name, run.note)).collect();
    escape(&told.join("; "))
}

/// The area under these rates, as steps; none where nothing was sampled.
fn outline(axes: &Axes, rates: &[f64], floor: f64) -> Option<String> {
    if rates.is_empty() {
        return None;
    }
    let mut path = format!("M{LEFT:.1} {floor:.1}");
    let mut last = f64::NAN;
    for (column, rate) in rates.iter().enumerate() {
        let y = floor - axes.height(*rate);
        if y != last {
            let _ = write!(path, "H{:.1}V{y:.1}", axes.x(column as f64 * axes.column_secs));
            last = y;
        }
    }
    let _ = write!(path, "H{:.1}V{floor:.1}Z", axes.x(rates.len() as f64 * axes.column_secs));
    Some(path)
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    svg.write_fmt(line).expect("writing into a string does not fail");
    svg.push('\n');
}

/// Seconds as people say them: `3.1 s`, `2 min 5 s`, `1 h 12 min`.
fn seconds(secs: f64) -> String {
    match secs {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 2.0 * 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// A number with at most two decimals and no zeros at its end.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, points: &[(f64, u64)], end_secs: Option<f64>) -> Run {
        let samples = points.iter().map(|&(at_secs, bytes)| Sample { at_secs, bytes }).collect();
        Run { name: name.into(), note: format!("{} samples", points.len()), end_secs, samples, taken: Vec::new() }
    }

    fn demo() -> Traffic {
        let steady = |bytes_per_sec: f64, until: f64| -> Vec<(f64, u64)> {
            (1..=(until * 5.0) as u32)
                .map(|i| (f64::from(i) / 5.0, (f64::from(i) / 5.0 * bytes_per_sec) as u64))
                .collect()
        };
        let mut swarm = steady(12.4e6, 2.8);
        swarm.extend([(3.0, 34_800_000), (3.2, 34_900_000)]);
        Traffic {
            title: "What left the frontend".into(),
            subtitle: "16 machines, sets of 32 MB, links of 100 Mbit/s".into(),
            link_bits_per_sec: Some(100e6),
            runs: vec![
                run("HTTP only", &steady(12.3e6, 44.6), Some(44.6)),
                Run {
                    taken: run("", &[(0.4, 0), (1.0, 90_000_000), (3.2, 512_000_000)], None).samples,
                    ..run("as a <swarm>", &swarm, Some(3.2))
                },
            ],
        }
    }

    #[test]
    fn the_picture_is_the_golden_one() {
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/draw/traffic.svg");
        let svg = demo().to_svg();
        if std::env::var_os("ROCKS_BLESS").is_some() {
            std::fs::write(&golden, &svg).unwrap();
        }
        assert_eq!(svg, std::fs::read_to_string(&golden).unwrap(), "ROCKS_BLESS=1 writes the golden file anew");
    }

    #[test]
    fn any_input_makes_well_formed_xml() {
        let odd = [
            Traffic::default(),
            Traffic { runs: vec![run("nothing", &[], None)], ..demo() },
            Traffic {
                runs: vec![run("backwards", &[(1.0, 500), (2.0, 100), (2.0, 900)], Some(0.0))],
                ..Traffic::default()
            },
            Traffic { runs: vec![run("&<\u{1}>\"", &[(1e-9, 1), (1e9, u64::MAX)], Some(1e9))], ..demo() },
            Traffic { runs: vec![run("no number", &[(f64::NAN, 1), (1.0, 2)], Some(f64::INFINITY))], ..demo() },
            Traffic { runs: (0..30).map(|i| run(&i.to_string(), &[(5.0, 10)], None)).collect(), ..demo() },
        ];
        for traffic in odd {
            let svg = traffic.to_svg();
            let mut reader = quick_xml::Reader::from_str(&svg);
            loop {
                match reader.read_event() {
                    Ok(quick_xml::events::Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => panic!("{error} in {svg}"),
                }
            }
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        }
    }

    #[test]
    fn putting_samples_together_keeps_their_bytes() {
        let fine: Vec<(f64, u64)> = (1..=10_000).map(|i| (f64::from(i) / 1000.0, u64::from(i as u32) * 777)).collect();
        let run = run("fine", &fine, None);
        let column_secs = 10.0 / COLUMNS as f64;
        let bytes: f64 = run.rates(&run.samples, column_secs).iter().map(|rate| rate * column_secs / 8.0).sum();
        assert!((bytes - 7_770_000.0).abs() < 1.0, "{bytes}");
    }

    #[test]
    fn times_read_as_people_say_them() {
        assert_eq!([3.08, 125.0, 7300.0].map(seconds), ["3.1 s", "2 min 5 s", "2 h 1 min"]);
    }
}
