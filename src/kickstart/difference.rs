//! The difference between two texts, line by line.

use std::fmt::Write;

/// Lines of context around a change.
const CONTEXT_LINES: usize = 3;
/// Texts that differ in more lines than this are shown as one change.
const CHANGED_LINES_MAX: usize = 4000;

/// The difference between two texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The unified form, with context; empty where the texts are equal.
    pub text: String,
    /// Only the lines that go and come, each with its `-` or `+`.
    pub changes: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

impl Difference {
    /// What makes `new` out of `old`.
    pub fn between(old: &str, new: &str) -> Self {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let edits = edits(&old, &new);
        let mut difference = Self::default();
        let changed: Vec<usize> = (0..edits.len()).filter(|at| edits[*at] != Edit::Keep).collect();
        let mut next = 0;
        while let Some(first) = changed.get(next) {
            let mut last = *first;
            while let Some(more) = changed.get(next).filter(|more| **more <= last + 2 * CONTEXT_LINES) {
                last = *more;
                next += 1;
            }
            let from = first.saturating_sub(CONTEXT_LINES);
            let to = (last + CONTEXT_LINES + 1).min(edits.len());
            difference.hunk(&edits, from..to, &old, &new);
        }
        difference
    }

    fn hunk(&mut self, edits: &[Edit], range: std::ops::Range<usize>, old: &[&str], new: &[&str]) {
        let count = |edits: &[Edit], kind| edits.iter().filter(|edit| **edit == Edit::Keep || **edit == kind).count();
        let (mut left, mut right) =
            (count(&edits[..range.start], Edit::Remove), count(&edits[..range.start], Edit::Add));
        let (lines, others) = (count(&edits[range.clone()], Edit::Remove), count(&edits[range.clone()], Edit::Add));
        let _ = writeln!(self.text, "@@ -{},{lines} +{},{others} @@", left + 1, right + 1);
        for edit in &edits[range] {
            let (mark, line) = match edit {
                Edit::Keep | Edit::Remove => (if *edit == Edit::Keep { ' ' } else { '-' }, old[left]),
                Edit::Add => ('+', new[right]),
            };
            left += usize::from(*edit != Edit::Add);
            right += usize::from(*edit != Edit::Remove);
            let _ = writeln!(self.text, "{mark}{line}");
            if *edit != Edit::Keep {
                let _ = writeln!(self.changes, "{mark}{line}");
            }
        }
    }
}

/// The fewest edits (Myers), or all of one text for all of the other where there would be too many.
fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let start = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[start..], &new[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let middle = shortest(old, new).unwrap_or_else(|| {
        let all = |edit, count| std::iter::repeat_n(edit, count);
        all(Edit::Remove, old.len()).chain(all(Edit::Add, new.len())).collect()
    });
    let keep = |count| std::iter::repeat_n(Edit::Keep, count);
    keep(start).chain(middle).chain(keep(end)).collect()
}

fn shortest(old: &[&str], new: &[&str]) -> Option<Vec<Edit>> {
    let most = (old.len() + new.len()).min(CHANGED_LINES_MAX);
    // How far each diagonal reaches after so many edits; diagonal k stands at k + most + 1.
    let mut reach = vec![0usize; 2 * most + 3];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=most {
        trace.push(reach[most + 1 - edits..=most + 1 + edits].to_vec());
        for step in 0..=edits {
            let at = most + 1 + 2 * step - edits;
            let down = step == 0 || (step != edits && reach[at - 1] < reach[at + 1]);
            let mut x = if edits == 0 {
                0
            } else if down {
                reach[at + 1]
            } else {
                reach[at - 1] + 1
            };
            let mut y = (x + most + 1).checked_sub(at).unwrap_or(usize::MAX);
            while x < old.len() && y < new.len() && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            reach[at] = x;
            if x >= old.len() && y >= new.len() {
                return Some(walk_back(&trace, old.len(), new.len(), edits));
            }
        }
    }
    None
}

/// The edits that lead to the end, out of how far each diagonal reached before each edit.
fn walk_back(trace: &[Vec<usize>], old: usize, new: usize, edits: usize) -> Vec<Edit> {
    let (mut x, mut y) = (old as isize, new as isize);
    let mut backwards = Vec::new();
    for count in (1..=edits).rev() {
        let reach = |k: isize| trace[count].get((k + count as isize) as usize).map_or(-1, |x| *x as isize);
        let k = x - y;
        let down = k == -(count as isize) || (k != count as isize && reach(k - 1) < reach(k + 1));
        let before = if down { k + 1 } else { k - 1 };
        let from = reach(before);
        while x > from.max(if down { from } else { from + 1 }) && y > from - before {
            backwards.push(Edit::Keep);
            (x, y) = (x - 1, y - 1);
        }
        backwards.push(if down { Edit::Add } else { Edit::Remove });
        (x, y) = (from, from - before);
    }
    backwards.extend(std::iter::repeat_n(Edit::Keep, x.max(0) as usize));
    backwards.reverse();
    backwards
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_difference_has_context_and_places() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\n";
        let difference = Difference::between(old, new);
        assert_eq!(difference.text, "@@ -2,7 +2,8 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n+i\n");
        assert_eq!(difference.changes, "-e\n+E\n+i\n");
        assert_eq!(Difference::between(old, old), Difference::default());
    }

    /// Applies edits.
    fn apply<'t>(edits: &[Edit], old: &[&'t str], new: &[&'t str]) -> Vec<&'t str> {
        let (mut x, mut y, mut out) = (0, 0, Vec::new());
        for edit in edits {
            match edit {
                Edit::Keep => {
                    assert_eq!(old[x], new[y]);
                    out.push(old[x]);
                    (x, y) = (x + 1, y + 1);
                }
                Edit::Remove => x += 1,
                Edit::Add => {
                    out.push(new[y]);
                    y += 1;
                }
            }
        }
        assert_eq!((x, y), (old.len(), new.len()));
        out
    }

    fn common(old: &[&str], new: &[&str]) -> usize {
        let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
        for x in 0..old.len() {
            for y in 0..new.len() {
                best[x + 1][y + 1] = if old[x] == new[y] { best[x][y] + 1 } else { best[x][y + 1].max(best[x + 1][y]) };
            }
        }
        best[old.len()][new.len()]
    }

    proptest! {
        #[test]
        fn edits_make_the_new_text_and_are_the_fewest(old in "[abc]{0,24}", new in "[abc]{0,24}") {
            let lines = |text: &'_ str| text.chars().map(|c| match c { 'a' => "a", 'b' => "b", _ => "c" }).collect::<Vec<_>>();
            let (old, new) = (lines(&old), lines(&new));
            let edits = edits(&old, &new);
            prop_assert_eq!(apply(&edits, &old, &new), new.clone());
            prop_assert_eq!(edits.iter().filter(|edit| **edit == Edit::Keep).count(), common(&old, &new));
        }
    }
}
