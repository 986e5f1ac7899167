//! TLS of the gRPC listeners.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::error::{Error, Result};
use crate::listen_options::Tls;

/// Make the keys ready; called before a port is opened.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    if tls.client_verify && tls.client_ca.is_none() {
        return Err(Error::invalid("client_verify needs custom_ca, the authority that signs the clients"));
    }
    let config = config(tls)
        .map_err(|refusal| Error::invalid(format!("the keys of the SSL config cannot be used: {refusal}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Refusal = Box<dyn std::error::Error>;

fn config(tls: &Tls) -> std::result::Result<ServerConfig, Refusal> {
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())?;
    let builder = ServerConfig::builder();
    let builder = match &tls.client_ca {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(authority)?);
            let verifier = WebPkiClientVerifier::builder(roots.into());
            let verifier = if tls.client_verify { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(config)
}

fn certificates(pem: &str) -> std::result::Result<Vec<CertificateDer<'static>>, Refusal> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<std::result::Result<_, _>>()?)
}
