//! What a host costs: both stages beside the recorded cost of the original compiler, printed as ratios.
//!
//!     cargo bench --bench compile
//!
//! The original's case (compute of 18 rolls, 82 nodes: 0.094 s of CPU for stage 1 and 1.1 s for stage 2 in one
//! process, scripts stubbed) is measured where the corpus is beside this project or where ROCKS_CORPUS says; the
//! shipped configuration always is. The rows of many hosts leave out what `bash -n` says of each distinct script.

use rayon::prelude::*;
use rocks::cluster::Release;
use rocks::graph::{CompileRequest, Configuration, Evals};
use rocks::kickstart::{Check, Memo, Renderer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// CPU of the original for its compute case.
const ORIGINAL_STAGE_1: Duration = Duration::from_millis(94);
const ORIGINAL_STAGE_2: Duration = Duration::from_millis(1100);
const HOSTS: usize = 10_000;

struct Case {
    name: &'static str,
    configuration: Configuration,
    root: &'static str,
    attributes: BTreeMap<String, String>,
    evals: Evals,
    release: Release,
    is_original: bool,
}

fn main() {
    let renderer = Renderer::new(&BTreeMap::new()).expect("our own templates");
    for case in [original(), Some(shipped())].into_iter().flatten() {
        measure(&case, &renderer);
    }
}

/// The compute case of the corpus, its scripts answered from the recording.
fn original() -> Option<Case> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/rocks-corpus");
    let corpus = std::env::var_os("ROCKS_CORPUS").map_or(beside, PathBuf::from);
    let case = corpus.join("cases/compute-full");
    let read = |name: &str| std::fs::read_to_string(case.join(name)).ok();
    let attributes = serde_json::from_str(&read("attributes.json")?).ok()?;
    let recorded = serde_json::from_str(&read("evals.json")?).ok()?;
    Some(Case {
        name: "compute of 18 rolls, 82 nodes",
        configuration: Configuration::open(&[&corpus.join("build/full")]).ok()?,
        root: "compute",
        attributes,
        evals: Evals::replay(recorded),
        release: Release::Rocks7,
        is_original: true,
    })
}

fn shipped() -> Case {
    let attributes = [
        ("os", "linux"),
        ("arch", "x86_64"),
        ("hostname", "compute-0-0"),
        ("hostaddr", "10.1.0.5"),
        ("ksmac", "52:54:00:00:00:01"),
        ("netmask", "255.255.0.0"),
        ("appliance", "compute"),
        ("rack", "0"),
        ("rank", "0"),
    ];
    Case {
        name: "shipped compute appliance",
        configuration: Configuration::of_cluster(Path::new("/nonexistent")).expect("compiled in"),
        root: "compute",
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        evals: Evals::off(),
        release: Release::Rhel9,
        is_original: false,
    }
}

fn measure(case: &Case, renderer: &Renderer) {
    let request =
        |attributes| CompileRequest { root: case.root, attributes, generator: "kgen", rolls: None, evals: &case.evals };
    let compile = |attributes| case.configuration.compile(&request(attributes)).expect("compiles");
    let compiled = compile(&case.attributes);
    let stage_1 = best(|| compile(&case.attributes).visited.len());
    let to_xml = best(|| compiled.profile.to_xml().len());
    let stage_2 = best(|| renderer.render(&compiled.profile, case.release).expect("renders").len());
    let micros = |time: Duration| format!("{:.0} us", time.as_secs_f64() * 1e6);
    say(&format!(
        "{}\n  stage 1 {} (as XML {} more), stage 2 {}",
        case.name,
        micros(stage_1),
        micros(to_xml),
        micros(stage_2)
    ));
    if case.is_original {
        let ratio = |original: Duration, ours: Duration| original.as_secs_f64() / ours.as_secs_f64();
        say(&format!(
            "  times faster than the original: stage 1 {:.0}, stage 2 {:.0}",
            ratio(ORIGINAL_STAGE_1, stage_1),
            ratio(ORIGINAL_STAGE_2, stage_2)
        ));
    }
    let hosts: Vec<BTreeMap<String, String>> =
        (0..HOSTS).map(|i| host(&case.attributes, i, case.is_original)).collect();
    let memo = Memo::default();
    let check = Check { release: case.release, shelf: None, scripts: None, memo: &memo };
    let cook = |attributes| renderer.render(&compile(attributes).profile, case.release).expect("renders");
    let checked = best(|| check.run("ks.cfg", &cook(&case.attributes)).len());
    let begun = Instant::now();
    let (bytes, findings) = hosts
        .par_iter()
        .map(|attributes| {
            let text = cook(attributes);
            (text.len(), check.run("ks.cfg", &text).len())
        })
        .reduce(|| (0, 0), |one, other| (one.0 + other.0, one.1 + other.1));
    let peak = peak_memory_mb().map_or_else(String::new, |mb| format!(", peak memory {mb} MB"));
    say(&format!(
        "  one host compiled and checked {}\n  {HOSTS} hosts with attributes of their own, compiled and checked on {} threads: {:.2} s, \
         {} MB of Kickstart, {findings} findings{peak}",
        micros(checked),
        rayon::current_num_threads(),
        begun.elapsed().as_secs_f64(),
        bytes >> 20
    ));
}

/// Attributes of a host of its own. Where scripts are answered from a recording, those they ask for stay.
fn host(attributes: &BTreeMap<String, String>, number: usize, is_recorded: bool) -> BTreeMap<String, String> {
    let mut attributes = attributes.clone();
    if !is_recorded {
        attributes.insert("hostname".to_owned(), format!("compute-0-{number}"));
        attributes.insert("ksmac".to_owned(), format!("52:54:00:00:{:02x}:{:02x}", number >> 8, number & 255));
    }
    attributes.insert("rank".to_owned(), number.to_string());
    attributes
}

/// The shortest of many runs.
fn best(mut run: impl FnMut() -> usize) -> Duration {
    let once = || {
        let begun = Instant::now();
        std::hint::black_box(run());
        begun.elapsed()
    };
    std::iter::repeat_with(once).take(100).min().unwrap_or_default()
}

/// The most memory this process has had, as the kernel counts it.
fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb >> 10)
}

fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
