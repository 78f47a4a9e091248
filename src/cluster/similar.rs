//! Which name somebody may have meant.

/// The name that is most like `name`, where one is like enough: at most a third of its letters differ, and not only
/// its numbers: who types `compute-0-7` does not mean `compute-0-8`.
pub fn similar<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).flat_map(char::to_lowercase).collect();
    let typed: String = letters(name);
    let only_numbers_differ = |other: &str| other.contains(|c: char| c.is_ascii_digit()) && letters(other) == typed;
    names
        .into_iter()
        .filter(|other| !only_numbers_differ(other))
        .map(|other| (distance(name, other, limit), other))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, other)| other.to_owned())
}

/// Letters to insert, delete, replace or swap with their neighbour, in any case; more than `limit` where it is more.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let names = ["compute", "login", "nas", "web-server"];
        for (typed, meant) in [("comptue", "compute"), ("Compute", "compute"), ("logi", "login"), ("nsa", "nas")] {
            assert_eq!(similar(typed, names).as_deref(), Some(meant), "{typed}");
        }
        assert_eq!(similar("comptue-0-7", ["compute-0-8", "compute-0-7"]).as_deref(), Some("compute-0-7"));
        assert_eq!(similar("compute-0-7", ["compute-0-8"]), None);
        for typed in ["database", "", "x", "server"] {
            assert_eq!(similar(typed, names), None, "{typed}");
        }
    }
}
