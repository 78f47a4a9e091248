//! Keyboards by the names the installer knows: layouts of X (`de`, `de (nodeadkeys)`) and keymaps of the console (`de-latin1`).
//!
//! `keyboards.txt` has a layout a line with its variants, as xkeyboard-config names them, and behind `*` the keymaps that kbd has
//! beside those that it makes of the layouts (`de-nodeadkeys`); behind `!` stand the ways to switch between layouts.

use super::values::Wrong;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

struct Known {
    /// Layouts with their variants.
    layouts: HashMap<&'static str, HashSet<&'static str>>,
    /// Keymaps that are made of no layout.
    keymaps: HashSet<&'static str>,
    /// Ways to switch between layouts.
    switches: HashSet<&'static str>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { layouts: HashMap::new(), keymaps: HashSet::new(), switches: HashSet::new() };
    for line in include_str!("keyboards.txt").lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("*") => known.keymaps.extend(words),
            Some("!") => known.switches.extend(words),
            Some(layout) => drop(known.layouts.insert(layout, words.collect())),
            None => {}
        }
    }
    known
});

/// What is wrong with a layout of X, its variant in parentheses.
pub(super) fn layout(text: &str) -> Option<Wrong> {
    let (name, variant) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')').unwrap_or("(")),
        None => (text, ""),
    };
    let wrong = |what: String| Some(("keyboard", what));
    match KNOWN.layouts.get(name) {
        None => wrong(format!("unknown keyboard layout '{text}'")),
        Some(variants) if variant.is_empty() || variants.contains(variant) => None,
        Some(_) => wrong(format!("keyboard layout '{name}' has no variant '{variant}'")),
    }
}

/// What is wrong with a way to switch between layouts (`grp:alt_shift_toggle`).
pub(super) fn switch(text: &str) -> Option<Wrong> {
    let fits = text.strip_prefix("grp:").is_some_and(|name| KNOWN.switches.contains(name));
    (!fits).then(|| ("keyboard", format!("unknown way to switch layouts '{text}' (grp:alt_shift_toggle)")))
}

/// What is wrong with a keymap of the console, or with the layout of X that stands in its place.
pub(super) fn keymap(text: &str) -> Option<Wrong> {
    let made = text.match_indices('-').any(|(at, _)| {
        let variants = KNOWN.layouts.get(&text[..at]);
        variants.is_some_and(|variants| variants.contains(&text[at + 1..]))
    });
    if made || KNOWN.keymaps.contains(text) {
        return None;
    }
    match text.contains('(') {
        true => layout(text),
        false => layout(text).map(|_| ("keyboard", format!("unknown keymap '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_and_keymaps_are_known_by_name() {
        for good in ["us", "de", "de (nodeadkeys)", "de(nodeadkeys)", "gb", "fr (bepo)", "us (dvorak)", "jp", "br"] {
            assert_eq!(layout(good).or(keymap(good)), None, "{good}");
        }
        for good in [
            "uk",
            "de-latin1",
            "de-nodeadkeys",
            "us-acentos",
            "jp106",
            "sv-latin1",
            "dvorak",
            "us-altgr-intl",
            "be-latin1",
        ] {
            assert_eq!(keymap(good), None, "{good}");
        }
        for bad in ["uss", "de (nosuch)", "de (nodeadkeys", "english", "", "uk", "de-latin1"] {
            assert!(layout(bad).is_some(), "{bad}");
        }
        assert_eq!(switch("grp:alt_shift_toggle").or(switch("grp:caps_toggle")), None);
        assert!(switch("grp:nosuch").is_some() && switch("alt_shift_toggle").is_some());
        for bad in ["zz", "klingon", "usa", "us-nosuch", "", "US", "-", "de-"] {
            assert!(keymap(bad).is_some(), "{bad}");
        }
    }
}
