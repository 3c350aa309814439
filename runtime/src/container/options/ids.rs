//! `idmap`: whose files are whose in the container's eyes.

use knarr_core::spec::{IdMap, IdRange, Ownership};

/// `idmap[=IDS]` among the options of `-v`; `None` if it is another option. The error is what is wrong with the ids.
pub fn parse_option(option: &str) -> Option<Result<Ownership, String>> {
    let rest = option.strip_prefix("idmap")?;
    let ids = if rest.is_empty() { "" } else { rest.strip_prefix('=')? };
    Some(parse(ids).ok_or_else(|| ids.to_owned()))
}

/// Empty: the owner of the files and the container's user change places. Otherwise
/// `uids=DISK-CONTAINER-COUNT[#…];gids=…`; of what is left out every id stays what it is.
pub fn parse(ids: &str) -> Option<Ownership> {
    if ids.is_empty() {
        return Some(Ownership::Swap);
    }
    let whole = || vec![IdRange { on_disk: 0, seen: 0, count: u32::MAX }];
    let mut map = IdMap { uids: whole(), gids: whole() };
    for part in ids.split(';') {
        match part.split_once('=')? {
            ("uids", text) => map.uids = ranges(text)?,
            ("gids", text) => map.gids = ranges(text)?,
            _ => return None,
        }
    }
    Some(Ownership::Map(map))
}

/// The kernel takes no ranges that overlap, and at most 340 of them (user_namespaces(7)).
fn ranges(text: &str) -> Option<Vec<IdRange>> {
    let ranges: Vec<IdRange> = text.split('#').map(range).collect::<Option<_>>()?;
    let overlap = |start: fn(&IdRange) -> u32| {
        let mut spans: Vec<(u64, u64)> = ranges
            .iter()
            .map(|r| (start(r).into(), u64::from(start(r)) + u64::from(r.count)))
            .collect();
        spans.sort_unstable();
        spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
    };
    let valid = ranges.len() <= 340 && !overlap(|r| r.on_disk) && !overlap(|r| r.seen);
    valid.then_some(ranges)
}

fn range(text: &str) -> Option<IdRange> {
    // podman's mark for "relative to the container's user namespace", which is the host's here
    let mut numbers = text.trim_start_matches('@').split('-').map(|n| n.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    let (on_disk, seen, count) = (next()?, next()?, next()?);
    let fits = |start: u32| start.checked_add(count).is_some();
    let valid = count > 0 && fits(on_disk) && fits(seen) && numbers.next().is_none();
    valid.then_some(IdRange { on_disk, seen, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_podman_writes_them() {
        assert_eq!(parse(""), Some(Ownership::Swap));
        let Some(Ownership::Map(map)) = parse("uids=@0-1-10#10-11-10;gids=0-100-10") else {
            panic!("refused");
        };
        assert_eq!(map.uids[1], IdRange { on_disk: 10, seen: 11, count: 10 });
        assert_eq!(map.gids, [IdRange { on_disk: 0, seen: 100, count: 10 }]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for ids in [
            "uids=",
            "uids=1-2",
            "uids=0-0-0",
            "x=0-0-1",
            "uids=0-0-5#4-9-1",
            "uids=0-1-4294967295",
        ] {
            assert_eq!(parse(ids), None, "{ids}");
        }
        assert!(parse_option("idmapped").is_none());
    }
}
