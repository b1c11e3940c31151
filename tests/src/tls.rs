//! TLS in front of a plain server on loopback: decrypts, passes the bytes on, encrypts the answer. Its certificate is
//! fixed and its secret key public.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The certificate, its own authority, for 127.0.0.1 and localhost.
pub const CERTIFICATE: &str = include_str!("../data/loopback.crt");
const KEY: &str = include_str!("../data/loopback.key");

/// The running server; it stops when dropped.
pub struct TlsServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Stands before the server at `http://127.0.0.1:PORT`, which answers one request per connection.
    pub fn before(plain_url: &str) -> Self {
        let plain: SocketAddr = plain_url.trim_start_matches("http://").parse().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), config) = (client, Arc::clone(&config)) else { continue };
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || drop(pass_on(client, plain, config)));
            }
        });
        Self { address, stop, accepting: Some(accepting) }
    }

    /// `https://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address)); // wakes the accepting thread
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

/// One request and its answer.
fn pass_on(client: TcpStream, plain: SocketAddr, config: Arc<ServerConfig>) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, client);
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        let got = tls.read(&mut piece)?;
        if got == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..got]);
    }
    let mut server = TcpStream::connect(plain)?;
    server.write_all(&request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    tls.write_all(&answer)?;
    tls.conn.send_close_notify();
    tls.flush()
}
