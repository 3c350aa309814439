//! "Did you mean …?"

/// As many edits make another word; so do edits to more than half of it.
const FAR: usize = 3;
/// Nobody means a word by one that is longer.
const LONG: usize = 100;

/// The candidate that somebody most likely meant, if one is near. Upper and lower case count as the same, and an
/// exact match is no suggestion: then something else is wrong.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONG {
        return None;
    }
    let word = word.to_lowercase();
    let mut best = None;
    for candidate in candidates {
        if candidate.len() > LONG {
            continue;
        }
        let lower = candidate.to_lowercase();
        // a transposition counts as one edit: FORM is FROM, not RUN
        let distance = strsim::osa_distance(&word, &lower);
        let length = word.chars().count().max(lower.chars().count());
        match best {
            _ if distance == 0 => return None,
            _ if distance >= FAR || distance * 2 > length => {}
            Some((_, least)) if distance >= least => {}
            _ => best = Some((candidate, distance)),
        }
    }
    best.map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_wins_and_far_ones_lose() {
        let known = ["FROM", "RUN", "COPY", "ADD", "ARG", "ENV"];
        assert_eq!(nearest("FORM", known), Some("FROM"));
        assert_eq!(nearest("frmo", known), Some("FROM"));
        assert_eq!(nearest("RNU", known), Some("RUN"));
        assert_eq!(nearest("COPPY", known), Some("COPY"));
        assert_eq!(nearest("DOWNLOAD", known), None);
        assert_eq!(nearest("RUN", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("xy", known), None);
        assert_eq!(nearest("c", ["cmd"]), None);
    }
}
