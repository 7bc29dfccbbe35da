//! HTTP as the flags of the connection ask for it.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy};

use super::args::ConnectionArgs;
use super::failed::Failed;
use crate::api_client::{Config, Web};

/// The variables that name a proxy. As with curl, those in lower case come first.
const HTTP: &[&str] = &["http_proxy", "HTTP_PROXY"];
const HTTPS: &[&str] = &["https_proxy", "HTTPS_PROXY"];
const ALL: &[&str] = &["all_proxy", "ALL_PROXY"];

/// The value of a variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;
/// What makes a proxy: for one scheme, or for all.
type Kind = fn(String) -> reqwest::Result<Proxy>;

/// reqwest with the settings of the flags. Certificates and proxies are read before anything is sent.
pub(super) fn web(args: &ConnectionArgs, config: &Config) -> Result<Web, Failed> {
    let proxies = proxies(args, &|name| std::env::var(name).ok())?;
    let trusted = args.cacert.as_deref().map(certificates).transpose()?;
    let (insecure, compressed, http1) = (args.insecure, args.compressed, args.http1);
    let settings = move |builder: ClientBuilder| {
        let mut builder =
            builder.tls_danger_accept_invalid_certs(insecure).gzip(compressed).deflate(compressed);
        // Without those that reqwest would find by itself.
        builder = proxies.iter().cloned().fold(builder.no_proxy(), ClientBuilder::proxy);
        if let Some(trusted) = &trusted {
            builder = builder.tls_certs_only(trusted.clone());
        }
        if http1 { builder.http1_only() } else { builder }
    };
    Ok(Web::with(config.limits.connect, config.policy.concurrency, settings)?)
}

/// The proxies of the flags, or else of the environment. reqwest does not look there by itself: it
/// would skip a proxy that it cannot read and connect directly, and go through one to an address
/// although `NO_PROXY` is `*`.
fn proxies(args: &ConnectionArgs, environment: Environment<'_>) -> Result<Vec<Proxy>, Failed> {
    let except = args.noproxy.clone();
    let except = except.or_else(|| Some(first(&["no_proxy", "NO_PROXY"], environment)?.1));
    let except = except.unwrap_or_default();
    let chosen = match &args.proxy {
        _ if except.split(',').any(|host| host.trim() == "*") => Vec::new(),
        Some(none) if none.is_empty() => Vec::new(),
        Some(given) => vec![("--proxy", given.clone(), Proxy::all as Kind)],
        None => of_environment(environment),
    };
    let proxy = |(name, value, kind): (&str, String, Kind)| {
        let address = proxy_address(&value).ok_or_else(|| {
            format!("{name}: not a proxy's URL; write http://HOST:PORT or socks5://HOST:PORT")
        })?;
        Ok(kind(address)?.no_proxy(NoProxy::from_string(&except)))
    };
    chosen.into_iter().map(proxy).collect()
}

/// A proxy for each scheme, if there is one.
fn of_environment(environment: Environment<'_>) -> Vec<(&'static str, String, Kind)> {
    // A web server hands what a client has sent as `Proxy:` to CGI programs as `HTTP_PROXY`.
    let is_cgi = environment("REQUEST_METHOD").is_some();
    let http = if is_cgi { &HTTP[..1] } else { HTTP };
    let of = |names, kind| {
        let found = first(names, environment).or_else(|| first(ALL, environment));
        found.map(|(name, value)| (name, value, kind))
    };
    [of(http, Proxy::http as Kind), of(HTTPS, Proxy::https)].into_iter().flatten().collect()
}

/// The first variable that is set, with its value; an empty one counts as not set.
fn first(names: &[&'static str], environment: Environment<'_>) -> Option<(&'static str, String)> {
    let mut set = names.iter().filter_map(|name| Some((*name, environment(name)?)));
    set.find(|(_, value)| !value.is_empty())
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

/// A proxy with its scheme, `http` if it says none; `None` if it makes no sense.
fn proxy_address(text: &str) -> Option<String> {
    let address = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = url::Url::parse(&address).ok().filter(url::Url::has_host)?;
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    known.contains(&url.scheme()).then_some(address)
}
