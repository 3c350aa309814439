//! Redirects, followed here and not by the HTTP library: at each step it is decided anew who is spoken to.
//!
//! A proof of identity goes to the origin (scheme, host, port) of the first address only. Once a redirect has led away
//! from there nothing of ours is added any more, not even if a later one leads back: the address was somebody else's
//! choice. What is in a body (a refresh token, a manifest) is never sent to another origin.

use super::Error;
use super::session::{Call, Session};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

/// More than anybody needs.
const LIMIT: usize = 10;

/// An answer, and who gave it.
pub(super) struct Reached {
    pub response: Response,
    /// It came from the origin that was asked, without a detour: its challenges may be answered.
    pub at_home: bool,
}

impl Session<'_> {
    /// Sends a call, and goes on to where the answer leads.
    pub async fn follow(&self, call: &Call, proof: Option<&HeaderValue>) -> Result<Reached, Error> {
        let mut call = call.clone();
        let home = call.url.origin();
        let mut at_home = true;
        for _ in 0..=LIMIT {
            let proof = proof.filter(|_| at_home);
            let response = self.send(self.request(&call, proof)).await?;
            let Some(next) = self.target(&call, &response)? else {
                return Ok(Reached { response, at_home });
            };
            at_home &= next.origin() == home;
            if !at_home && call.body.is_some() {
                let host = next.host_str().unwrap_or_default();
                return Err(self.protocol(format!("what was sent to it should go to {host}")));
            }
            call.url = next;
        }
        Err(self.protocol("too many redirects"))
    }

    /// Where a redirect leads that can be followed.
    fn target(&self, call: &Call, response: &Response) -> Result<Option<Url>, Error> {
        let is_reading = matches!(call.method, Method::GET | Method::HEAD);
        let followed = match response.status() {
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            // for what changes something these mean: look there with GET
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => is_reading,
            _ => false,
        };
        let Some(location) = location(response.headers()).filter(|_| followed) else {
            return Ok(None);
        };
        let next =
            call.url.join(location).map_err(|e| self.protocol(format!("{location}: {e}")))?;
        if call.url.scheme() == "https" && next.scheme() != "https" {
            return Err(self.protocol("redirected from https to plain http"));
        }
        if !matches!(next.scheme(), "https" | "http") {
            return Err(self.protocol(format!("redirected to {}", next.scheme())));
        }
        Ok(Some(next))
    }
}

/// Where an answer points to.
pub(super) fn location(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::LOCATION)?.to_str().ok()
}
