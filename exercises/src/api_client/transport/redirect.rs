use http::{HeaderMap, Method, StatusCode, header};
use url::Url;

use super::{Error, ErrorKind};
use crate::api_client::input::{Request, sendable, without_user};

/// What a request must not carry to another host.
const CREDENTIALS: [header::HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Whether a response may send the request elsewhere.
pub(in crate::api_client) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads to. An empty `Location` leads nowhere, as with curl.
pub(in crate::api_client) fn destination(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(header::LOCATION).filter(|location| !location.is_empty())?;
    Some(String::from_utf8_lossy(location.as_bytes()).into())
}

/// Redirects a request as browsers do: 303 makes it a `GET`, and so do 301 and 302 with a `POST`;
/// another host gets no credentials.
pub(in crate::api_client) fn follow(
    request: &mut Request,
    status: StatusCode,
    location: &str,
) -> Result<(), Error> {
    let shown = without_user(location);
    let nowhere = |why: String| ErrorKind::Redirect.because(format!("to `{shown}`: {why}"));
    let url = request.url().join(location).map_err(|err| nowhere(err.to_string()))?;
    let mut url = sendable(url).map_err(nowhere)?;
    let to_get = match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    };
    if to_get {
        request.method = Method::GET;
        request.body = bytes::Bytes::new();
        request.headers.remove(header::CONTENT_TYPE);
        request.headers.remove(header::CONTENT_LENGTH);
    }
    if origin(&url) != origin(request.url()) {
        for name in &CREDENTIALS {
            request.headers.remove(name);
        }
    } else if url.username().is_empty() && url.password().is_none() {
        // Neither can fail where there is a host.
        let _ = url.set_username(request.url().username());
        let _ = url.set_password(request.url().password());
    }
    request.headers.remove(header::HOST);
    request.set_url(url);
    Ok(())
}

fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Request {
        let mut request = Request::get("http://a.example/x/y");
        let secret = "secret".parse().expect("a header value");
        request.headers.insert(header::AUTHORIZATION, secret);
        (request.method, request.body) = (Method::POST, "body".into());
        request
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let mut same = call();
        follow(&mut same, StatusCode::TEMPORARY_REDIRECT, "../z").expect("somewhere");
        assert_eq!(same.url().as_str(), "http://a.example/z");
        assert!(same.headers.contains_key(header::AUTHORIZATION));
        for other in ["http://b.example/", "https://a.example/", "http://a.example:81/"] {
            let mut call = call();
            follow(&mut call, StatusCode::TEMPORARY_REDIRECT, other).expect("somewhere");
            assert!(!call.headers.contains_key(header::AUTHORIZATION), "{other}");
        }
    }

    #[test]
    fn credentials_in_a_url_stay_with_their_host() {
        for (location, to) in [
            ("http://a.example/z", "http://ada:p%40w@a.example/z"),
            ("/z", "http://ada:p%40w@a.example/z"),
            ("http://bob@a.example/z", "http://bob@a.example/z"),
            ("http://b.example/z", "http://b.example/z"),
            ("https://a.example/z", "https://a.example/z"),
        ] {
            let mut request = Request::get("http://ada:p%40w@a.example/x");
            follow(&mut request, StatusCode::FOUND, location).expect("somewhere");
            assert_eq!(request.url().as_str(), to, "{location}");
        }
    }

    #[test]
    fn only_307_and_308_keep_a_post() {
        for (status, method, body) in [(302, "GET", ""), (303, "GET", ""), (308, "POST", "body")] {
            let mut call = call();
            let status = StatusCode::from_u16(status).expect("a status");
            follow(&mut call, status, "/z").expect("somewhere");
            assert_eq!((call.method.as_str(), &call.body[..]), (method, body.as_bytes()));
        }
    }

    #[test]
    fn a_redirect_to_no_web_address_is_an_error() {
        for location in ["http://", "ftp://u:secret@a.example/", "mailto:a@b"] {
            let err = follow(&mut call(), StatusCode::FOUND, location).expect_err(location);
            assert_eq!(err.kind, ErrorKind::Redirect);
            assert!(!err.detail.contains("secret"), "{err}");
        }
    }
}
