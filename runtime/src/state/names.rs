//! Names: the rule, who owns one, and the ones that Knarr makes up.

use super::{ContainerState, Error, Locked, Result, lookup, sweep};
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::record;
use knarr_core::root::Root;
use std::io::ErrorKind;

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn validate(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    // a file of that name is made
    if first && rest && (2..=255).contains(&name.len()) {
        Ok(())
    } else {
        Err(Error::InvalidName { name: name.to_owned() })
    }
}

/// What became of an attempt to claim a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    Done,
    Taken(ContainerId),
    /// The name's file has no owner: left by a killed process, or by somebody who is at work right now.
    Stale,
}

/// Tries to make `id` the owner of a name.
pub fn claim(root: &Root, name: &str, id: &ContainerId) -> Result<Claim> {
    match fsx::create_new(&root.container_names().join(name), id.as_str().as_bytes()) {
        Ok(()) => Ok(Claim::Done),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(match owner(root, name)? {
            Some(owner) => Claim::Taken(owner),
            None => Claim::Stale,
        }),
        Err(e) => Err(e.into()),
    }
}

/// Frees a name.
pub fn release(root: &Root, name: &str) -> Result<()> {
    Ok(fsx::remove_file(&root.container_names().join(name))?)
}

/// Who owns a name: the container that the name's file names, if its record has that name too. (A rename that
/// was cut short leaves two files for one container.)
pub(super) fn owner(root: &Root, name: &str) -> Result<Option<ContainerId>> {
    if validate(name).is_err() {
        return Ok(None);
    }
    let Some(bytes) = fsx::read_optional(&root.container_names().join(name))? else {
        return Ok(None);
    };
    let Some(id) = std::str::from_utf8(&bytes).ok().and_then(|t| t.parse::<ContainerId>().ok())
    else {
        return Ok(None);
    };
    if !lookup::exists(root, &id) {
        return Ok(None);
    }
    match record::read::<ContainerState>(&root.container(&id).state()) {
        Ok(Some(state)) => Ok((state.name == name).then_some(id)),
        // a damaged container keeps its name, so that it can be removed by it
        Ok(None) | Err(record::Error::Malformed { .. } | record::Error::Newer { .. }) => {
            Ok(Some(id))
        }
        Err(record::Error::File(e)) => Err(e.into()),
    }
}

/// Gives a container another name. At every moment one of the two names leads to it.
pub(crate) fn rename(root: &Root, id: &ContainerId, name: &str) -> Result<()> {
    validate(name)?;
    let mut swept = false;
    loop {
        let mut locked = Locked::take(root, id)?;
        let old = locked.state().name.clone();
        match claim(root, name, id)? {
            Claim::Done => {
                if let Err(e) = locked.set_name(name) {
                    release(root, name)?;
                    return Err(e);
                }
                return release(root, &old);
            }
            Claim::Stale if !swept => {
                drop(locked);
                sweep::sweep_waiting(root)?;
                swept = true;
            }
            Claim::Stale => return Err(taken(name, id.clone())),
            Claim::Taken(owner) => return Err(taken(name, owner)),
        }
    }
}

pub(super) fn taken(name: &str, owner: ContainerId) -> Error {
    Error::NameTaken { name: name.to_owned(), owner }
}

/// A name made up: an adjective and a seafarer. After some clashes a digit is added, so that it ends.
pub fn generate(attempt: usize) -> String {
    let mut random = [0u8; 4];
    // a short read or an error leaves zeros: then the name clashes, and the digits help
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    let pick = |words: &'static [&'static str], at: usize| {
        words[usize::from(u16::from_le_bytes([random[at], random[at + 1]])) % words.len()]
    };
    let name = format!("{}_{}", pick(ADJECTIVES, 0), pick(SEAFARERS, 2));
    if attempt < 8 { name } else { format!("{name}{attempt}") }
}

const ADJECTIVES: &[&str] = &[
    "able",
    "adrift",
    "agile",
    "anchored",
    "ardent",
    "becalmed",
    "blithe",
    "bold",
    "brave",
    "breezy",
    "brisk",
    "bronzed",
    "buoyant",
    "candid",
    "cheerful",
    "clever",
    "coastal",
    "coral",
    "curious",
    "daring",
    "distant",
    "driven",
    "eager",
    "easterly",
    "eastern",
    "fair",
    "faithful",
    "fearless",
    "fleet",
    "foamy",
    "gallant",
    "gentle",
    "gilded",
    "gleaming",
    "hardy",
    "hearty",
    "homeward",
    "hopeful",
    "jaunty",
    "jolly",
    "keen",
    "landward",
    "lateen",
    "leeward",
    "lively",
    "loyal",
    "lucid",
    "lucky",
    "lunar",
    "merry",
    "mighty",
    "misty",
    "moonlit",
    "nautical",
    "nimble",
    "noble",
    "northern",
    "northerly",
    "oaken",
    "patient",
    "pelagic",
    "placid",
    "plucky",
    "polar",
    "proud",
    "quiet",
    "rapid",
    "ready",
    "roaming",
    "roving",
    "rugged",
    "salty",
    "seasoned",
    "seaward",
    "serene",
    "shining",
    "silver",
    "skilled",
    "snug",
    "southern",
    "southerly",
    "spry",
    "starlit",
    "staunch",
    "steady",
    "stellar",
    "stormy",
    "stout",
    "sturdy",
    "sunlit",
    "swift",
    "tarred",
    "tidal",
    "tireless",
    "trusty",
    "unsinkable",
    "valiant",
    "vigilant",
    "wandering",
    "watchful",
    "western",
    "westerly",
    "windward",
    "wise",
    "zealous",
];

const SEAFARERS: &[&str] = &[
    "amundsen",
    "anson",
    "baffin",
    "balboa",
    "barents",
    "baret",
    "barentsz",
    "battuta",
    "beaufort",
    "bering",
    "bjarni",
    "bligh",
    "bonny",
    "bougainville",
    "bowditch",
    "brendan",
    "byron",
    "cabot",
    "cabral",
    "cabrillo",
    "cartier",
    "cavendish",
    "champlain",
    "chichester",
    "ching",
    "cook",
    "cousteau",
    "dampier",
    "darwin",
    "davis",
    "dias",
    "drake",
    "earle",
    "elcano",
    "erikson",
    "flinders",
    "franklin",
    "freydis",
    "frobisher",
    "gama",
    "gudrid",
    "hanno",
    "harrison",
    "heyerdahl",
    "hornblower",
    "hudson",
    "humboldt",
    "ingolf",
    "ingstad",
    "joshua",
    "kerguelen",
    "knox",
    "krusenstern",
    "leif",
    "macarthur",
    "magellan",
    "mahan",
    "majid",
    "malaspina",
    "maury",
    "mcclintock",
    "moitessier",
    "nansen",
    "naomi",
    "nelson",
    "noort",
    "odysseus",
    "ohthere",
    "parry",
    "piri",
    "polo",
    "ponce",
    "pytheas",
    "quiros",
    "raleigh",
    "ross",
    "scoresby",
    "shackleton",
    "sindbad",
    "slocum",
    "snorri",
    "sverdrup",
    "tabarly",
    "tasman",
    "torres",
    "tupaia",
    "vancouver",
    "verrazzano",
    "vespucci",
    "villiers",
    "weddell",
    "wilkes",
    "worsley",
    "zheng",
];
