//! nginx as a child process on the loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// nginx with one of the configurations beside this file, until it is dropped.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    /// The address for TLS, in configurations that have it, with its own certificate.
    pub(crate) tls_port: u16,
    child: Child,
    config: &'static str,
    /// Its own directory, with its log and the files that it serves.
    pub(crate) directory: TempDir,
}

impl Nginx {
    /// `None` if there is no nginx on the PATH.
    pub(crate) fn start(config: &'static str, rate: u32) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no nginx on the PATH");
            return None;
        }
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listeners = [free(), free()]; // both are bound at once, so that they differ
        let [port, tls_port] = listeners.map(|free| free.local_addr().expect("an address").port());
        let directory = tempfile::tempdir().expect("a directory");
        write_certificate(directory.path());
        write_config(directory.path(), config, [port, tls_port], rate);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).arg("-e").arg(directory.path().join("error.log"));
        command.arg("-c").arg(directory.path().join("nginx.conf"));
        let child = command.stderr(Stdio::null()).spawn().expect("nginx starts");
        let nginx = Self { port, tls_port, child, config, directory };
        nginx.wait_until_it_listens();
        Some(nginx)
    }

    /// Changes the rate while it runs.
    pub(crate) fn reload(&self, rate: u32) {
        write_config(self.directory.path(), self.config, [self.port, self.tls_port], rate);
        self.signal("-HUP");
    }

    /// The certificate that a client has to trust for TLS.
    pub(crate) fn certificate(&self) -> reqwest::Certificate {
        let pem = fs::read(self.directory.path().join("certificate.pem")).expect("it is there");
        reqwest::Certificate::from_pem(&pem).expect("a certificate")
    }

    pub(crate) fn urls(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("http://127.0.0.1:{}/{n}", self.port)).collect()
    }

    /// How many requests it has answered, according to its log.
    pub(crate) fn requests(&self) -> usize {
        let log = fs::read_to_string(self.directory.path().join("access.log")).expect("a log");
        log.lines().filter(|line| line.contains(" 200 ")).count()
    }

    fn wait_until_it_listens(&self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.directory.path().join("error.log"));
            assert!(started.elapsed() < Duration::from_secs(20), "no nginx: {:?}", log());
            thread::sleep(Duration::from_millis(10)); // another process: nothing to wait on
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.signal("-TERM");
        self.child.wait().expect("it was started here");
    }
}

/// A self-signed certificate: only clients that are told to trust it do.
fn write_certificate(directory: &Path) {
    let names = ["localhost", "127.0.0.1", "two.test"].map(str::to_owned);
    let certified = rcgen::generate_simple_self_signed(names).expect("a pair");
    fs::write(directory.join("certificate.pem"), certified.cert.pem()).expect("a file");
    fs::write(directory.join("key.pem"), certified.signing_key.serialize_pem()).expect("a file");
}

fn write_config(directory: &Path, config: &str, ports: [u16; 2], rate: u32) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api_client_nginx").join(config);
    let text = fs::read_to_string(source).expect("the configuration is in the repository");
    let text = text
        .replace("@DIR@", &directory.display().to_string())
        .replace("@PORT@", &ports[0].to_string())
        .replace("@TLS@", &ports[1].to_string())
        .replace("@RATE@", &rate.to_string());
    fs::write(directory.join("nginx.conf"), text).expect("a file");
}
