//! The certificates that are trusted: a bundle that was named, the system's, or the compiled-in ones.

use crate::config::error::ConfigError;
use crate::files;
use memchr::memmem;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
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
    let mut bundle = read(path, LIMIT).map_err(unusable)?;
    if memmem::find(&bundle, b"-----BEGIN TRUSTED CERTIFICATE-----").is_some() {
        return Err(ConfigError::TrustedCertificate { path: path.into() });
    }
    let mut store = RootCertStore::empty();
    let add = |certificate: CertificateDer<'_>| {
        // Bundles hold the odd certificate that webpki does not know; it is ignored.
        if let Err(e) = store.add(certificate) {
            log::debug!("{}: ignored a certificate: {e}", path.display());
        }
    };
    certificates(&mut bundle, add).map_err(|why| unusable(io::Error::other(why)))?;
    if store.is_empty() { Err(unusable(io::Error::other("it contains no certificate"))) } else { Ok(store) }
}

/// Calls `add` for each certificate of a bundle (RFC 7468), whatever is between them, and decodes them in place.
///
/// # Errors
/// A certificate is not base64, or has no end.
pub(crate) fn certificates(
    mut bundle: &mut [u8],
    mut add: impl FnMut(CertificateDer<'_>),
) -> Result<(), &'static str> {
    while let Some((_, begun)) = split(bundle, b"-----BEGIN CERTIFICATE-----") {
        let (base64, end) = split(begun, b"-----").unwrap_or_default();
        if !end.starts_with(b"END CERTIFICATE-----") {
            return Err("a certificate in it has no end");
        }
        let der = base64_simd::forgiving_decode_inplace(base64);
        add(CertificateDer::from_slice(der.map_err(|_| "a certificate in it is not base64")?));
        bundle = end;
    }
    Ok(())
}

/// The text before and after the first `word`.
fn split<'a>(text: &'a mut [u8], word: &[u8]) -> Option<(&'a mut [u8], &'a mut [u8])> {
    let (before, found) = text.split_at_mut(memmem::find(text, word)?);
    Some((before, found.get_mut(word.len()..)?))
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

    fn lengths(bundle: &str) -> Result<Vec<usize>, &'static str> {
        let mut lengths = Vec::new();
        certificates(&mut bundle.as_bytes().to_vec(), |certificate| lengths.push(certificate.len()))
            .map(|()| lengths)
    }

    #[test]
    fn certificates_are_found_among_other_things() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\nAA==\n-----END CERTIFICATE-----\n";
        let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(lengths(&format!("# A name\n{one}{other}{one}and the end")).unwrap(), [4, 4]);
        assert_eq!(lengths(&format!("\u{feff}{one}{one}")).unwrap(), [4, 4]);
        assert_eq!(lengths(&one.replace('\n', " \r\n")).unwrap(), [4]);
        assert_eq!(lengths(&one.replace('\n', "\n  ")).unwrap(), [4]);
        assert_eq!(lengths(other).unwrap(), [0; 0]);
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told() {
        let error = |bundle: &str| lengths(bundle).unwrap_err();
        assert!(error("-----BEGIN CERTIFICATE-----\nAAAA\n").contains("no end"));
        assert!(error("-----BEGIN CERTIFICATE-----\nA*AA\n-----END CERTIFICATE-----").contains("not base64"));
        // A truncated certificate must not be merged with the next one.
        for body in ["AAAA", "AA=="] {
            let cut = format!(
                "-----BEGIN CERTIFICATE-----\n{body}\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
            );
            assert!(error(&cut).contains("no end"), "{body}");
        }
    }
}
