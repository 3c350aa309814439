//! What errors say, and where.
use super::cases::{Case, folders};
#[test]
fn dump() {
    let mut all = String::new();
    for folder in folders() {
        let name = folder.display().to_string();
        if !name.ends_with("-error") {
            continue;
        }
        let case = Case::new(&folder);
        let error = case.actual().unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(e) = source {
            text += &format!(" <- {e}");
            source = e.source();
        }
        let hint = knarr_core::hint::Hint::hint(&error);
        let short = name.split("cases/").nth(1).unwrap().to_owned();
        all += &format!(
            "{short}: {} | {:?}\n",
            text.replace(&case.folder.display().to_string(), "@DIR@"),
            hint
        );
    }
    knarr_core::fsx::write(std::path::Path::new("/tmp/w3/messages.txt"), all).unwrap();
}
