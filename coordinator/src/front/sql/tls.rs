//! What the MySQL port shows of itself under TLS: the configured certificate, or one that it makes at its start.

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Files with a certificate chain and its key, PEM.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// Without files: a certificate that nobody has vouched for. It keeps listeners out, not impostors.
pub fn acceptor(files: Option<Files<'_>>) -> anyhow::Result<TlsAcceptor> {
    let (chain, key) = match files {
        Some(files) => read(files)?,
        None => self_made()?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .context("no common TLS version")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the key of the MySQL port do not go together")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(files: Files<'_>) -> anyhow::Result<Identity> {
    let Files { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", certificate.display());
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read the key {}", key.display()))?;
    Ok((chain, key))
}

fn self_made() -> anyhow::Result<Identity> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate for the MySQL port")?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One is made when none is given; a missing file is named.
    #[test]
    fn certificates() {
        acceptor(None).unwrap();
        let absent = Files { certificate: Path::new("/no/such.pem"), key: Path::new("/no/such.key") };
        let error = acceptor(Some(absent)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("/no/such.pem"), "{error}");
    }
}
