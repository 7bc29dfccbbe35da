//! HTTP as the flags of the connection ask for it.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy};

use super::args::ConnectionArgs;
use super::failed::Failed;
use crate::api_client::{Config, Web};

/// reqwest with the settings of the flags. Certificates and proxies are read before anything is sent.
pub(super) fn web(args: &ConnectionArgs, config: &Config) -> Result<Web, Failed> {
    let proxy = args.proxy.as_deref().map(proxy).transpose()?;
    if proxy.is_none() {
        environment_makes_sense()?;
    }
    let trusted = args.cacert.as_deref().map(certificates).transpose()?;
    let (insecure, compressed, http1) = (args.insecure, args.compressed, args.http1);
    let settings = move |builder: ClientBuilder| {
        let mut builder =
            builder.tls_danger_accept_invalid_certs(insecure).gzip(compressed).deflate(compressed);
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(trusted) = &trusted {
            builder = builder.tls_certs_only(trusted.clone());
        }
        if http1 { builder.http1_only() } else { builder }
    };
    Ok(Web::with(config.limits.connect, config.policy.concurrency, settings)?)
}

fn proxy(given: &str) -> Result<Proxy, Failed> {
    let address = proxy_address(given);
    let address = address
        .ok_or("--proxy: not a proxy's URL; write http://HOST:PORT or socks5://HOST:PORT")?;
    Ok(Proxy::all(address)?.no_proxy(NoProxy::from_env()))
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failed> {
    let file_name = file.display();
    let pem =
        std::fs::read(file).map_err(|err| format!("--cacert: cannot read {file_name}: {err}"))?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(format!("--cacert: {file_name} holds no certificate in PEM").into());
    }
    Ok(certificates)
}

/// Checks the environment's proxies: reqwest would skip one that it cannot read, and connect
/// directly.
fn environment_makes_sense() -> Result<(), Failed> {
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    for name in names.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]) {
        let Ok(proxy) = std::env::var(&name) else { continue };
        if !proxy.is_empty() && proxy_address(&proxy).is_none() {
            return Err(format!(
                "{name} in the environment is not a proxy's URL; write http://HOST:PORT"
            )
            .into());
        }
    }
    Ok(())
}

/// A proxy with its scheme, `http` if it says none; `None` if it makes no sense.
fn proxy_address(text: &str) -> Option<String> {
    let address = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = url::Url::parse(&address).ok().filter(url::Url::has_host)?;
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    known.contains(&url.scheme()).then_some(address)
}
