//! The instance metadata service, version 2 only: the credentials of the instance's role, and plain metadata.
//!
//! A token first, then the role's name, then its credentials. At boot the role may come late, so a
//! 404 is retried; a 401 requires a new token; a 403 means that IMDS is disabled. Bodies
//! of credentials are never quoted, not even in errors.

use crate::aws::instance::{is_dns_label, is_region};
use crate::aws::secret::{Secret, Sent};
use crate::config::settings::{IMDS_IPV4, IMDS_IPV6};
use crate::error::Error;
use crate::net::client::{self, Http, Request};
use crate::net::error::Kind;
use crate::text::{json_fault, shorten, shorten_bytes};
use http::StatusCode;
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// The limit of one request to IMDS, from connecting to the last byte.
const LIMIT: Duration = Duration::from_secs(5);

/// Lifetime of the token: the longest there is, as a run may wait for hours (a warm pool).
const TOKEN_SECONDS: &str = "21600";

const METADATA: &str = "/latest/meta-data/";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Temporary credentials of the instance's role.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) role: String,
    pub(crate) access_key_id: Secret,
    pub(crate) secret_access_key: Secret,
    pub(crate) token: Secret,
    /// `None` when IMDS does not say.
    pub(crate) expires: Option<SystemTime>,
}

impl Credentials {
    /// The name of the role alone: nothing secret is held while nothing is needed.
    pub(crate) fn forgotten(&self) -> Self {
        let none = || Secret::new("");
        Credentials {
            role: self.role.clone(),
            access_key_id: none(),
            secret_access_key: none(),
            token: none(),
            expires: None,
        }
    }

    /// Whether they end before `time`.
    pub(crate) fn expire_before(&self, time: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= time)
    }
}

/// A session with IMDS: its address and the token of version 2.
#[derive(Debug)]
pub(crate) struct Imds {
    pub(crate) base: String,
    token: Option<Secret>,
}

impl Imds {
    pub(crate) fn new(base: &str) -> Self {
        Imds { base: base.to_owned(), token: None }
    }

    /// The role's credentials, freshly fetched.
    ///
    /// # Errors
    /// [`Error::ImdsForbidden`] is permanent; all others may be temporary.
    pub(crate) fn credentials(&mut self, http: &dyn Http) -> Result<Credentials, Error> {
        let role = self.role(http)?;
        self.credentials_of(&role, http)
    }

    /// The name of the instance's role.
    ///
    /// # Errors
    /// As for [`Imds::credentials`].
    pub(crate) fn role(&mut self, http: &dyn Http) -> Result<String, Error> {
        let listing = self.get_of_role(http, ROLES)?;
        if listing.trim_ascii().is_empty() {
            return Err(Error::NoRole { url: format!("{}{ROLES}", self.base), answer: "an empty list" });
        }
        parse_role(&listing).ok_or_else(|| self.strange(ROLES, "it contains no role name"))
    }

    /// # Errors
    /// As for [`Imds::credentials`].
    pub(crate) fn credentials_of(&mut self, role: &str, http: &dyn Http) -> Result<Credentials, Error> {
        let path = format!("{ROLES}{role}");
        let body = self.get_of_role(http, &path)?;
        parse_credentials(&body, role, &format!("{}{path}", self.base))
    }

    /// The partition and the Region that the instance is in, for `check`, which does not wait for the agent.
    pub(crate) fn place(&mut self, http: &dyn Http) -> Option<(String, String)> {
        let mut word = |path, fits: fn(&str) -> bool| {
            let text = self.metadata(path, http).ok()??.trim().to_owned();
            fits(&text).then_some(text)
        };
        Some((word("services/partition", is_dns_label)?, word("placement/region", is_region)?))
    }

    /// The value at a path below `/latest/meta-data/`; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::ImdsForbidden`] is permanent; all others may be temporary. The value is in none of them.
    pub(crate) fn metadata(&mut self, path: &str, http: &dyn Http) -> Result<Option<String>, Error> {
        let path = format!("{METADATA}{path}");
        match self.get(http, &path) {
            Ok(body) => String::from_utf8(body).map(Some).map_err(|_| self.strange(&path, "it is not text")),
            Err(Error::ImdsStatus { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches a token unless there is one.
    ///
    /// # Errors
    /// As for [`Imds::credentials`].
    pub(crate) fn token(&mut self, http: &dyn Http) -> Result<Secret, Error> {
        let token = match self.token.take() {
            Some(token) => token,
            None => self.new_token(http)?,
        };
        Ok(self.token.insert(token).clone())
    }

    /// Where there is no route to the IPv4 address, the IPv6 address is tried once; most instances that have it use IPv4.
    ///
    /// # Errors
    /// IMDS cannot be reached, or refuses the token.
    fn new_token(&mut self, http: &dyn Http) -> Result<Secret, Error> {
        let result = fetch_token(http, &self.base);
        let no_route = matches!(&result, Err(Error::Imds(e)) if matches!(e.kind, Kind::NoRoute(_)));
        if self.base == IMDS_IPV4
            && no_route
            && let Ok(token) = fetch_token(http, IMDS_IPV6)
        {
            IMDS_IPV6.clone_into(&mut self.base);
            return Ok(token);
        }
        result
    }

    fn strange(&self, path: &str, why: &str) -> Error {
        Error::ImdsAnswer { url: format!("{}{path}", self.base), why: why.to_owned() }
    }

    /// A path that is there only when the instance has a role.
    ///
    /// # Errors
    /// [`Error::NoRole`] for a 404; else those of [`Imds::get`].
    fn get_of_role(&mut self, http: &dyn Http, path: &str) -> Result<Vec<u8>, Error> {
        self.get(http, path).map_err(|error| match error {
            Error::ImdsStatus { status: 404, .. } => {
                Error::NoRole { url: format!("{}{path}", self.base), answer: "404" }
            }
            other => other,
        })
    }

    /// An expired token is replaced at once.
    ///
    /// # Errors
    /// No token, no connection, or a status other than 200.
    fn get(&mut self, http: &dyn Http, path: &str) -> Result<Vec<u8>, Error> {
        let had_token = self.token.is_some();
        match self.get_once(http, path) {
            Err(Error::ImdsStatus { status: 401, .. }) if had_token => self.get_once(http, path),
            other => other,
        }
    }

    /// # Errors
    /// Those of [`Imds::get`]; a 401 discards the token.
    fn get_once(&mut self, http: &dyn Http, path: &str) -> Result<Vec<u8>, Error> {
        let token = self.token(http)?;
        let url = format!("{}{path}", self.base);
        let request =
            http::Request::get(&url).header("X-aws-ec2-metadata-token", token.expose()).body(Vec::new())?;
        let (status, body) = send(http, request)?;
        match status {
            StatusCode::OK => Ok(body),
            _ => {
                if status == StatusCode::UNAUTHORIZED {
                    self.token = None;
                }
                Err(status_error(format!("GET {url}"), status, b"(body not shown: it may hold credentials)"))
            }
        }
    }
}

/// # Errors
/// IMDS cannot be reached, does not respond with 200, or sends something that is not a token.
fn fetch_token(http: &dyn Http, base: &str) -> Result<Secret, Error> {
    let url = format!("{base}/latest/api/token");
    let request = http::Request::put(&url)
        .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)
        .body(Vec::new())?;
    let (status, body) = send(http, request)?;
    if status != StatusCode::OK {
        return Err(status_error(format!("PUT {url}"), status, &body));
    }
    // A token goes into a header, so it must be visible ASCII.
    match std::str::from_utf8(&body).map(str::trim) {
        Ok(token) if !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Secret::new(token))
        }
        _ => Err(Error::ImdsAnswer { url, why: "its token is empty or not text".to_owned() }),
    }
}

/// # Errors
/// The connection to IMDS fails, or the body breaks off.
fn send(http: &dyn Http, request: Request) -> Result<(StatusCode, Vec<u8>), Error> {
    let what = client::describe(&request);
    let sent = Sent::with(&request);
    let answer = http.send(request, LIMIT).map_err(Error::Imds)?;
    let answer = client::read_body(answer, &what).map_err(Error::Imds)?;
    let answer = sent.scrub(answer);
    Ok((answer.status(), answer.into_body()))
}

fn status_error(request: String, status: StatusCode, body: &[u8]) -> Error {
    match status {
        StatusCode::FORBIDDEN => Error::ImdsForbidden { request },
        _ => Error::ImdsStatus { request, status: status.as_u16(), body: shorten_bytes(body) },
    }
}

/// The first line of the listing; an instance has one role (CreateRole: letters, digits and `+=,.@_-`).
fn parse_role(listing: &[u8]) -> Option<String> {
    let role = std::str::from_utf8(listing).ok()?.lines().next()?.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    (!role.is_empty() && role.chars().all(allowed)).then(|| role.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<Secret>,
    secret_access_key: Option<Secret>,
    token: Option<Secret>,
    expiration: Option<String>,
}

/// Parses the credentials of a role.
///
/// # Errors
/// [`Error::RoleCode`]: IMDS has no credentials for the role; [`Error::ImdsAnswer`]: a member is missing or invalid.
fn parse_credentials(body: &[u8], role: &str, url: &str) -> Result<Credentials, Error> {
    let strange = |why: String| Error::ImdsAnswer { url: url.to_owned(), why };
    let document: Document = serde_json::from_slice(body).map_err(|e| strange(json_fault(&e)))?;
    if let Some(code) = document.code.filter(|code| code != "Success") {
        let message = shorten(&document.message.unwrap_or_default());
        return Err(Error::RoleCode { role: role.to_owned(), code: shorten(&code), message });
    }
    let usable = |secret: Option<Secret>, name: &str| {
        let secret =
            secret.filter(|s| !s.expose().is_empty() && s.expose().bytes().all(|b| b.is_ascii_graphic()));
        secret.ok_or_else(|| strange(format!("it has no valid {name}")))
    };
    Ok(Credentials {
        role: role.to_owned(),
        access_key_id: usable(document.access_key_id, "AccessKeyId")?,
        secret_access_key: usable(document.secret_access_key, "SecretAccessKey")?,
        token: usable(document.token, "Token")?,
        expires: document.expiration.and_then(|e| humantime::parse_rfc3339(&e).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"wJalr",
        "Token":"IQoJb3","Expiration":"2026-01-02T09:04:05Z"}"#;

    #[test]
    fn credentials_are_read_and_never_shown() {
        let credentials = parse_credentials(GOOD.as_bytes(), "r", "u").unwrap();
        assert_eq!(credentials.secret_access_key.expose(), "wJalr");
        assert!(credentials.expire_before(humantime::parse_rfc3339("2026-01-02T09:04:05Z").unwrap()));
        let debug = format!("{credentials:?}");
        assert!(!debug.contains("wJalr") && !debug.contains("IQoJb3") && !debug.contains("AKID"), "{debug}");
    }

    #[test]
    fn broken_credentials_are_errors_that_quote_nothing() {
        for body in [
            "",
            "\"wJalr\"",
            "[\"wJalr\"]",
            &GOOD[..90],
            r#"{"SecretAccessKey":"wJalr"}"#,
            r#"{"SecretAccessKey":["wJalr"]}"#,
        ] {
            let error = parse_credentials(body.as_bytes(), "r", "u").unwrap_err();
            assert!(matches!(error, Error::ImdsAnswer { .. }), "{body}");
            assert!(!error.to_string().contains("wJalr"), "{error}");
        }
        let refused = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}"#;
        assert!(matches!(parse_credentials(refused.as_bytes(), "r", "u"), Err(Error::RoleCode { .. })));
    }

    #[test]
    fn role_names() {
        assert_eq!(parse_role(b"ecsInstanceRole\n").as_deref(), Some("ecsInstanceRole"));
        for none in ["", "\n", "<html>", "a/../b", "a b"] {
            assert_eq!(parse_role(none.as_bytes()), None, "{none}");
        }
    }
}
