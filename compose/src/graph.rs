//! Services and what they need, as a graph.

use std::collections::BTreeMap;

/// Names, each after those that it needs.
#[derive(Debug, Default)]
pub(crate) struct Ordered<'a> {
    /// All of them, also where they go round in a circle.
    pub names: Vec<&'a str>,
    /// The first circle that was met, its first name again at the end.
    pub circle: Option<Vec<&'a str>>,
}

/// Orders them; otherwise they stay in their own order. Without recursion: a chain may be as long as a file.
pub(crate) fn in_order<'a>(
    names: impl IntoIterator<Item = &'a str>,
    needs: impl Fn(&'a str) -> Vec<&'a str>,
) -> Ordered<'a> {
    let mut ordered = Ordered::default();
    // false: on the way; true: it has its place
    let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
    for start in names {
        // names with those of their needs that are still to be looked at
        let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut next = Some(start);
        loop {
            match next.take().map(|name| (name, seen.get(name))) {
                Some((name, None)) => {
                    seen.insert(name, false);
                    way.push((name, needs(name).into_iter().rev().collect()));
                }
                Some((name, Some(false))) if ordered.circle.is_none() => {
                    let round = way.iter().map(|(other, _)| *other).skip_while(|o| *o != name);
                    ordered.circle = Some(round.chain([name]).collect());
                }
                _ => {}
            }
            let Some((name, open)) = way.last_mut() else { break };
            next = open.pop();
            if next.is_none() {
                seen.insert(name, true);
                ordered.names.push(name);
                way.pop();
            }
        }
    }
    ordered
}
