//! What is wrong with a certificate that was refused, as far as its remedy differs.

use rustls::CertificateError;

/// What a certificate does not verify for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Expired, or not valid yet.
    Time,
    /// Of another name.
    Name,
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

pub(crate) fn fault(refused: &CertificateError) -> Fault {
    use CertificateError::*;
    match refused {
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Fault::Time,
        NotValidForName | NotValidForNameContext { .. } => Fault::Name,
        _ => Fault::Other,
    }
}
