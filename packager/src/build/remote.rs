//! `ADD` of URLs, and git repositories, through the git program.

use super::Error;
use super::git::git;
use super::step::Cancellation;
use crate::registry;
use futures_util::StreamExt;
use knarr_core::fsx::{self, Context, Durability};
use knarr_core::root::Root;
use knarr_core::store::{Hasher, digest_of};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(30);
/// Without a byte for so long a download is given up.
const SILENCE: Duration = Duration::from_secs(120);

pub fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// As BuildKit: `git://`, `ssh://`, `git@host:path`, and URLs whose path ends in `.git`.
pub fn is_git(text: &str) -> bool {
    let address = text.split('#').next().unwrap_or_default();
    let address = address.split('?').next().unwrap_or_default();
    text.starts_with("git://")
        || text.starts_with("ssh://")
        || (is_url(text) && address.trim_end_matches('/').ends_with(".git"))
        || (text.starts_with("git@") && text.contains(':'))
}

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// The last part of its address, or what the server calls it.
    pub name: String,
    /// Hexadecimal digits of its SHA-256.
    pub digest: String,
    /// `Last-Modified`, seconds since 1970.
    pub modified: Option<i64>,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// The downloads that the build cache keeps, by digest, and what is known of addresses.
pub struct Downloads {
    folder: PathBuf,
}

impl Downloads {
    pub fn open(root: &Root) -> Result<Self, Error> {
        let folder = root.build_cache().join("downloads");
        fsx::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    pub fn path(&self, download: &Download) -> PathBuf {
        self.folder.join(&download.digest)
    }

    /// The file at an address. The server is asked whether what is here is still current; with a checksum of what is here
    /// not even that.
    pub fn get(
        &self,
        url: &str,
        checksum: Option<&str>,
        cancellation: &Cancellation,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<Download, Error> {
        let expected = checksum.map(parse_checksum).transpose()?;
        let record = self.folder.join(format!("{}.json", digest_of(url.as_bytes()).digest()));
        let known: Option<Download> =
            fsx::read_optional(&record)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = known.filter(|known| self.path(known).exists());
        if let (Some(known), Some(expected)) = (&known, &expected)
            && known.digest == *expected
        {
            return Ok(known.clone());
        }
        let runtime = registry::runtime()
            .map_err(|e| Error::Pull { reference: url.to_owned(), source: e.into() })?;
        let download = runtime.block_on(self.fetch(url, known.as_ref(), cancellation, progress))?;
        if let Some(expected) = expected
            && download.digest != expected
        {
            return Err(Error::Checksum {
                what: url.to_owned(),
                expected: format!("sha256:{expected}"),
                found: format!("sha256:{}", download.digest),
            });
        }
        let bytes = serde_json::to_vec(&download)
            .map_err(|source| Error::Malformed { what: url.to_owned(), source })?;
        fsx::replace(&record, &bytes, Durability::Process)?;
        Ok(download)
    }

    async fn fetch(
        &self,
        url: &str,
        known: Option<&Download>,
        cancellation: &Cancellation,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<Download, Error> {
        let failed = |source: reqwest::Error| {
            let reason = crate::lookup::innermost(&source).to_string();
            Error::Download { url: url.to_owned(), reason }
        };
        let client = crate::http::client()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(failed)?;
        let mut request = client.get(url);
        if let Some(known) = known {
            if let Some(etag) = &known.etag {
                request = request.header("If-None-Match", etag);
            } else if let Some(time) = &known.last_modified {
                request = request.header("If-Modified-Since", time);
            }
        }
        let response = request.send().await.map_err(failed)?;
        if let (304, Some(known)) = (response.status().as_u16(), known) {
            return Ok(known.clone());
        }
        if !response.status().is_success() {
            return Err(Error::Status { url: url.to_owned(), status: response.status().as_u16() });
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (etag, last_modified) = (header("etag"), header("last-modified"));
        let name = file_name(url, header("content-disposition").as_deref())?;
        let total = response.content_length();
        let mut file = tempfile::Builder::new()
            .prefix(fsx::TEMPORARY)
            .tempfile_in(&self.folder)
            .at("create a temporary file in", &self.folder)?;
        let mut hasher = Hasher::sha256();
        let mut done = 0;
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            if cancellation.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let chunk = chunk.map_err(failed)?;
            hasher.update(&chunk);
            file.write_all(&chunk).at("write", file.path())?;
            done += chunk.len() as u64;
            progress(done, total);
        }
        let modified = last_modified.as_deref().and_then(|text| {
            let time = jiff::fmt::rfc2822::parse(text).ok()?;
            Some(time.timestamp().as_second())
        });
        let digest = hasher.finish().digest().to_owned();
        let download = Download { name, digest, modified, etag, last_modified };
        let path = self.path(&download);
        file.persist(&path).map_err(|e| e.error).at("create", &path)?;
        Ok(download)
    }
}

fn parse_checksum(text: &str) -> Result<String, Error> {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(hex.to_ascii_lowercase());
    }
    Err(Error::Value {
        instruction: "ADD --checksum",
        value: text.to_owned(),
        reason: "it is written as sha256: and 64 hexadecimal digits".into(),
    })
}

fn file_name(url: &str, disposition: Option<&str>) -> Result<String, Error> {
    let usable = |name: &str| {
        let name = name.trim().trim_matches('"');
        let is_name =
            !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        is_name.then(|| name.to_owned())
    };
    let stated = disposition.and_then(|text| {
        let at = text.split(';').find_map(|part| part.trim().strip_prefix("filename="))?;
        usable(at)
    });
    let parsed = url::Url::parse(url).map_err(|_| Error::Address { url: url.to_owned() })?;
    let last = parsed.path_segments().and_then(|mut parts| parts.next_back().and_then(usable));
    Ok(stated.or(last).unwrap_or_else(|| "download".into()))
}

/// A place in a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub url: String,
    /// A branch, tag or commit; `None`: the default branch.
    pub reference: Option<String>,
    /// A folder in it, relative.
    pub folder: Option<String>,
}

impl Repository {
    /// `URL[#reference[:folder]]`
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (url, fragment) = match text.split_once('#') {
            Some((url, fragment)) => (url, fragment),
            None => (text, ""),
        };
        let (reference, folder) = match fragment.split_once(':') {
            Some((reference, folder)) => (reference, folder),
            None => (fragment, ""),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let repository =
            Self { url: url.to_owned(), reference: some(reference), folder: some(folder) };
        // git takes what begins with a dash for an option
        let bad = |text: &str| text.starts_with('-') || text.contains(['\0', '\n']);
        if bad(url) || repository.reference.as_deref().is_some_and(bad) {
            return Err(Error::Address { url: text.to_owned() });
        }
        Ok(repository)
    }

    /// The commit that is meant, in full.
    pub fn commit(&self) -> Result<String, Error> {
        let wanted = self.reference.as_deref().unwrap_or("HEAD");
        if wanted.len() == 40 && wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(wanted.to_ascii_lowercase());
        }
        let listed = git(None, &["ls-remote", "--", &self.url, wanted, &format!("{wanted}^{{}}")])?;
        let lines: Vec<(&str, &str)> =
            listed.lines().filter_map(|line| line.split_once(char::is_whitespace)).collect();
        let find = |name: String| lines.iter().find(|(_, own)| own.trim() == name);
        // a tag's commit rather than the tag itself
        let found = find(format!("refs/tags/{wanted}^{{}}"))
            .or_else(|| find(format!("refs/tags/{wanted}")))
            .or_else(|| find(format!("refs/heads/{wanted}")))
            .or_else(|| find(wanted.to_owned()))
            .or_else(|| lines.first());
        match found {
            Some((commit, _)) => Ok((*commit).to_owned()),
            None => Err(Error::NotFound { path: wanted.to_owned(), place: self.url.clone() }),
        }
    }

    /// Checks a commit out into an empty folder, submodules as well.
    pub fn check_out(&self, commit: &str, into: &Path, keep_git_dir: bool) -> Result<(), Error> {
        git(Some(into), &["init", "--quiet", "--template="])?;
        git(Some(into), &["remote", "add", "--", "origin", &self.url])?;
        let fetched = git(Some(into), &["fetch", "--quiet", "--depth=1", "origin", commit]);
        if fetched.is_err() {
            // some servers hand out no commits by their id
            let wanted = self.reference.as_deref().unwrap_or("HEAD");
            git(Some(into), &["fetch", "--quiet", "--tags", "origin", wanted])?;
        }
        git(Some(into), &["checkout", "--quiet", "--detach", commit])?;
        if into.join(".gitmodules").exists() {
            git(
                Some(into),
                &["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"],
            )?;
        }
        if !keep_git_dir {
            fsx::remove_dir_all(&into.join(".git"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_are_repositories() {
        for text in [
            "https://github.com/a/b.git",
            "https://github.com/a/b.git#main:dir",
            "git@github.com:a/b.git",
            "git://host/x",
            "ssh://git@host/x",
        ] {
            assert!(is_git(text), "{text}");
        }
        for text in
            ["https://host/a.tar.gz", "https://host/a#x.git", "a.git", "./git@x", "file:///x.git"]
        {
            assert!(!is_git(text), "{text}");
        }
        let place = Repository::parse("https://h/a.git#v1:sub/dir").unwrap();
        assert_eq!(place.reference.as_deref(), Some("v1"));
        assert_eq!(place.folder.as_deref(), Some("sub/dir"));
        assert!(Repository::parse("https://h/a.git#--upload-pack=x").is_err());
        assert!(Repository::parse("--upload-pack=x").is_err());
    }

    #[test]
    fn names_of_downloads() {
        let name = |url, disposition| file_name(url, disposition).unwrap();
        assert_eq!(name("https://h/a/b.tar.gz?x=1#y", None), "b.tar.gz");
        assert_eq!(name("https://h/", None), "download");
        assert_eq!(name("https://h/x", Some("attachment; filename=\"y.bin\"")), "y.bin");
        assert_eq!(name("https://h/x", Some("attachment; filename=\"../../y\"")), "x");
        assert!(file_name("nonsense", None).is_err());
    }
}
