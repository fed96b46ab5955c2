//! The certificates that are trusted: a bundle that was named, the system's, or the compiled-in ones.

use crate::misconfigured::Misconfigured;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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

pub(crate) fn load(path: &Path) -> Result<RootCertStore, Misconfigured> {
    let unusable = |why: String| Misconfigured::CaBundle { path: path.into(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| unusable(e.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        // Bundles hold the odd certificate that webpki does not know; it is of no use, and no harm.
        if let Err(e) = store.add(certificate) {
            log::debug!("{}: a certificate is passed over: {e}", path.display());
        }
    }
    if store.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(store) }
}

/// The first usable bundle of the system, else the compiled-in roots.
pub(crate) fn system_roots() -> (Roots, RootCertStore) {
    for path in SYSTEM_BUNDLES.iter().map(Path::new).filter(|p| p.exists()) {
        match load(path) {
            Ok(store) => return (Roots::Bundle(path.into()), store),
            Err(e) => log::warn!("{e}; another bundle or the compiled-in roots are trusted in its place"),
        }
    }
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    (Roots::CompiledIn, RootCertStore { roots })
}
