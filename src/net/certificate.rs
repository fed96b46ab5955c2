//! What messages say about a certificate: its issuer, and what is wrong with it as far as the hint depends on it.

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use x509_cert::der::Decode;

/// Why a certificate does not verify, as far as the hint depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Expired, or not valid yet.
    Time,
    /// Of another name.
    Name,
    /// Of a CA, and so of no server.
    Authority,
    /// Above all, an issuer that nobody here knows.
    Other,
}

/// What rustls has against the certificate, when it is that.
pub(crate) fn refused(error: &ureq::Error) -> Option<&CertificateError> {
    let ureq::Error::Io(e) = error else {
        return None;
    };
    match e.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// webpki's name for it, for which rustls has no kind of its own.
const OF_AUTHORITY: &str = "CaUsedAsEndEntity";

pub(crate) fn fault(refused: &CertificateError) -> Fault {
    use CertificateError::*;
    match refused {
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Fault::Time,
        NotValidForName | NotValidForNameContext { .. } => Fault::Name,
        Other(why) if format!("{why:?}").contains(OF_AUTHORITY) => Fault::Authority,
        _ => Fault::Other,
    }
}

/// What is wrong with it, in words.
pub(crate) fn why(refused: &CertificateError) -> String {
    match fault(refused) {
        Fault::Authority => "it is a CA's certificate, which a server must not use".to_owned(),
        Fault::Other if matches!(refused, CertificateError::UnknownIssuer) => {
            "its issuer is not trusted here".to_owned()
        }
        _ => refused.to_string(),
    }
}

/// The issuer's name as RFC 4514 writes it, such as `CN=Proxy CA,O=Example`.
pub(crate) fn issuer(certificate: &CertificateDer<'_>) -> String {
    match x509_cert::Certificate::from_der(certificate) {
        Ok(parsed) => crate::text::shorten(&parsed.tbs_certificate().issuer().to_string()),
        Err(_) => "an issuer that cannot be read".to_owned(),
    }
}
