//! Circles in a graph of numbered nodes.

/// One circle for each group of nodes that reach each other (Tarjan's strongly connected components), as the numbers
/// in it, smallest first; a node that points at itself is a circle of one.
pub(super) fn circles(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut seen_at = vec![UNSEEN; next.len()];
    let mut lowest = vec![0; next.len()];
    let mut waiting = vec![false; next.len()];
    let mut group = Vec::new();
    let mut found = Vec::new();
    let mut count = 0;
    for start in 0..next.len() {
        if seen_at[start] != UNSEEN {
            continue;
        }
        let mut stack = vec![(start, 0)];
        while let Some((node, child)) = stack.last_mut() {
            let node = *node;
            if *child == 0 {
                (seen_at[node], lowest[node], waiting[node]) = (count, count, true);
                count += 1;
                group.push(node);
            }
            if let Some(to) = next[node].get(*child).copied() {
                *child += 1;
                if seen_at[to] == UNSEEN {
                    stack.push((to, 0));
                } else if waiting[to] {
                    lowest[node] = lowest[node].min(seen_at[to]);
                }
                continue;
            }
            stack.pop();
            if let Some((parent, _)) = stack.last() {
                lowest[*parent] = lowest[*parent].min(lowest[node]);
            }
            if lowest[node] == seen_at[node] {
                let at = group.iter().rposition(|member| *member == node).unwrap_or(0);
                let mut circle = group.split_off(at);
                for member in &circle {
                    waiting[*member] = false;
                }
                if circle.len() > 1 || next[node].contains(&node) {
                    circle.sort_unstable();
                    found.push(circle);
                }
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_trees_have_none() {
        assert!(circles(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert_eq!(circles(&[vec![1], vec![2, 3], vec![0], vec![3]]), [vec![0, 1, 2], vec![3]]);
        assert_eq!(circles(&[vec![1], vec![], vec![3], vec![2]]), [vec![2, 3]]);
    }
}
