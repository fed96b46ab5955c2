//! TLS to ECS: which certificates are trusted, and who issued the one that was not.
//!
//! Roots are `AWS_CA_BUNDLE`, else the system's bundle, else the compiled-in ones of Mozilla. The last link of
//! ureq's chain of connectors: it completes the handshake, so that what fails before has sent nothing.

use crate::config::error::ConfigError;
use crate::net::roots::{Roots, load, system_roots};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
    StreamOwned,
};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// What is known of a connection that was made, or that was to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    /// The address of the server, or of the proxy if there is one.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) protocol: Option<ProtocolVersion>,
    /// The server's, even if it was refused.
    pub(crate) certificate: Option<CertificateDer<'static>>,
    /// It ends before the proxy, or at it.
    pub(crate) to_proxy: bool,
}

/// The TLS layer of one client. The default is that of plain HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    config: Option<Arc<ClientConfig>>,
    /// Where the trusted certificates come from.
    pub(crate) roots: Roots,
    proxy: Option<Uri>,
    last: Arc<Last>,
}

/// What is known of the last connection of a client.
#[derive(Debug, Default)]
struct Last {
    connected: AtomicBool,
    seen: Mutex<Connection>,
}

impl Tls {
    /// # Errors
    /// A bundle that cannot be read or holds no certificate, when it was asked for by name.
    pub(crate) fn new(bundle: Option<&Path>) -> Result<Self, ConfigError> {
        let (roots, store) = match bundle {
            Some(path) => (Roots::Bundle(path.into()), load(path)?),
            None => system_roots(),
        };
        let last = Arc::new(Last::default());
        let config = client_config(store, last.clone()).map_err(|why| ConfigError::Tls { why })?;
        Ok(Tls { config: Some(Arc::new(config)), roots, proxy: None, last })
    }

    /// The same, for a client that reaches its target through `proxy`.
    pub(crate) fn behind(self, proxy: Option<Uri>) -> Self {
        Tls { proxy, ..self }
    }

    pub(crate) fn forget_last(&self) {
        self.last.connected.store(false, Ordering::Relaxed);
        let to_proxy = self.proxy.is_some();
        self.last.see(|seen| *seen = Connection { to_proxy, ..Connection::default() });
    }

    /// Whether the last connection was made, so that something may have been sent.
    pub(crate) fn connected(&self) -> bool {
        self.last.connected.load(Ordering::Relaxed)
    }

    /// What the last connection was like.
    pub(crate) fn connection(&self) -> Connection {
        self.last.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

impl Last {
    /// A lock that is poisoned, which takes a panic, costs a detail of a message.
    fn see(&self, note: impl FnOnce(&mut Connection)) {
        if let Ok(mut seen) = self.seen.lock() {
            note(&mut seen);
        }
    }
}

/// # Errors
/// rustls does not accept the store, or none of its versions.
fn client_config(store: RootCertStore, last: Arc<Last>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|e| e.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // "Dangerous" is rustls's word for any custom verifier; this one only records.
    let builder = builder.map_err(|e| e.to_string())?.dangerous();
    Ok(builder
        .with_custom_certificate_verifier(Arc::new(RecordingVerifier { inner, last }))
        .with_no_client_auth())
}

/// The usual verifier, which also records the certificate that it was shown.
#[derive(Debug)]
struct RecordingVerifier {
    inner: Arc<WebPkiServerVerifier>,
    last: Arc<Last>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.last.see(|seen| seen.certificate = Some(end_entity.clone().into_owned()));
        self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        // ureq runs the chain for the connection to the proxy too; the target is what counts.
        let to_proxy = self.proxy.as_ref() == Some(details.uri);
        let encrypted = match &self.config {
            Some(config) if details.needs_tls() && !transport.is_tls() => {
                Either::B(handshake(config.clone(), details, transport, &self.last)?)
            }
            _ => Either::A(transport),
        };
        self.last.see(|seen| {
            seen.address = details.addrs.first().copied();
            seen.to_proxy = false;
        });
        self.last.connected.store(!to_proxy, Ordering::Relaxed);
        Ok(Some(encrypted))
    }
}

/// # Errors
/// The host is no name or address, or the handshake fails.
fn handshake<In: Transport>(
    config: Arc<ClientConfig>,
    details: &ConnectionDetails,
    transport: In,
    last: &Last,
) -> Result<TlsTransport, ureq::Error> {
    let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ureq::Error::Tls("not a host name"))?;
    let mut connection = ClientConnection::new(config, name).map_err(ureq::Error::Rustls)?;
    let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
    socket.set_timeout(details.timeout);
    connection.complete_io(&mut socket)?;
    let protocol = connection.protocol_version();
    log::trace!("{} to {host}", protocol.and_then(|p| p.as_str()).unwrap_or("TLS"));
    last.see(|seen| seen.protocol = protocol);
    let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
    Ok(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })
}

/// An encrypted connection in the form that ureq requires.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
