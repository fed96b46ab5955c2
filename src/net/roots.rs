//! The certificates that are trusted: a bundle that was named, the system's, or the compiled-in ones.

use crate::config::error::ConfigError;
use crate::files;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use std::io;
use std::path::{Path, PathBuf};

/// Where distributions keep their bundle: Amazon Linux, Fedora and RHEL; Debian and Ubuntu; SUSE.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem"];

/// Where the trusted certificates come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Roots {
    Bundle(PathBuf),
    #[default]
    CompiledIn,
}

impl std::fmt::Display for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Roots::Bundle(path) => write!(f, "{}", path.display()),
            Roots::CompiledIn => f.write_str("the compiled-in Mozilla roots"),
        }
    }
}

/// The bundles of distributions have less than 1 MiB.
const LIMIT: usize = 16 * 1024 * 1024;

/// Reads a bundle of trusted certificates.
///
/// # Errors
/// It cannot be read, or contains no certificate that can be used.
pub(crate) fn load(path: &Path) -> Result<RootCertStore, ConfigError> {
    let unusable = |source: io::Error| ConfigError::CaBundle { path: path.into(), source };
    let is_of_system = SYSTEM_BUNDLES.iter().any(|of_system| path == Path::new(of_system));
    let read = if is_of_system { files::bytes } else { files::bytes_named };
    let bundle = read(path, LIMIT).map_err(unusable)?;
    if count(&bundle, b"-----BEGIN TRUSTED CERTIFICATE-----") > 0 {
        return Err(ConfigError::TrustedCertificate { path: path.into() });
    }
    let mut store = RootCertStore::empty();
    let add = |certificate: CertificateDer<'_>| {
        // Bundles hold the odd certificate that webpki does not know; it is ignored.
        if let Err(e) = store.add(certificate) {
            log::debug!("{}: ignored a certificate: {e}", path.display());
        }
    };
    certificates(&bundle, add).map_err(|why| unusable(io::Error::other(why)))?;
    if store.is_empty() { Err(unusable(io::Error::other("it contains no certificate"))) } else { Ok(store) }
}

/// How many lines of the bundle are this one.
fn count(bundle: &[u8], line: &[u8]) -> usize {
    let ends = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b'\n' | b'\r' | b' ' | b'\t'));
    let is_whole = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| bundle.get(before));
        ends(before) && ends(bundle.get(at + line.len()))
    };
    memchr::memmem::find_iter(bundle, line).filter(is_whole).count()
}

/// Calls `add` for each certificate of a bundle (RFC 7468), whatever is between them.
///
/// # Errors
/// A certificate that cannot be read. The reader merges a certificate that was cut off with the next one, so
/// the lines that begin one are counted as well.
pub(crate) fn certificates(bundle: &[u8], mut add: impl FnMut(CertificateDer<'_>)) -> Result<(), String> {
    let bundle = bundle.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bundle);
    let begun = count(bundle, b"-----BEGIN CERTIFICATE-----");
    // All at once, as musl returns the memory of each one to the kernel when it is freed alone.
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bundle).collect();
    let (mut read, mut invalid) = (0, None);
    for certificate in &certificates {
        match certificate {
            Ok(certificate) => add(CertificateDer::from_slice(certificate)),
            Err(pem::Error::Base64Decode(why)) => invalid = Some(why),
            // The count below tells whether a certificate is missing.
            Err(_) => continue,
        }
        read += 1;
    }
    match invalid {
        _ if read != begun => Err("a certificate in it has no end or is indented".to_owned()),
        Some(why) => Err(format!("a certificate in it is not base64: {why}")),
        None => Ok(()),
    }
}

/// The first usable bundle of the system, else the compiled-in roots.
pub(crate) fn system_roots() -> (Roots, RootCertStore) {
    for path in SYSTEM_BUNDLES.iter().map(Path::new).filter(|p| p.exists()) {
        match load(path) {
            Ok(store) => return (Roots::Bundle(path.into()), store),
            Err(e) => log::warn!(
                "{e}; fix it: until then, another bundle or the compiled-in roots are trusted instead"
            ),
        }
    }
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    (Roots::CompiledIn, RootCertStore { roots })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(bundle: &str) -> Result<Vec<usize>, String> {
        let mut lengths = Vec::new();
        certificates(bundle.as_bytes(), |certificate| lengths.push(certificate.len())).map(|()| lengths)
    }

    #[test]
    fn certificates_are_found_among_other_things() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\nAA==\n-----END CERTIFICATE-----\n";
        let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(lengths(&format!("# A name\n{one}{other}{one}and the end")).unwrap(), [4, 4]);
        assert_eq!(lengths(&format!("\u{feff}{one}{one}")).unwrap(), [4, 4]);
        assert_eq!(lengths(&one.replace('\n', " \r\n")).unwrap(), [4]);
        assert_eq!(lengths(other).unwrap(), [0; 0]);
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told() {
        let error = |bundle: &str| lengths(bundle).unwrap_err();
        assert!(error("-----BEGIN CERTIFICATE-----\nAAAA\n").contains("no end"));
        assert!(
            error(" -----BEGIN CERTIFICATE-----\n AAAA\n -----END CERTIFICATE-----").contains("indented")
        );
        assert!(error("-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----").contains("not base64"));
        // One that was cut off takes the next one with it.
        for body in ["AAAA", "AA=="] {
            let cut = format!(
                "-----BEGIN CERTIFICATE-----\n{body}\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
            );
            assert!(error(&cut).contains("no end"), "{body}");
        }
    }
}
