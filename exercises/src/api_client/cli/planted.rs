use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;

use crate::api_client::input::Request;
use crate::api_client::transport::{Failure, Received, Transport, Web};

/// The web, with a panic planted in one request to test where it surfaces.
pub(super) struct Planted {
    pub(super) web: Web,
    /// Which request panics, from 1.
    pub(super) panic_at: Option<u64>,
    pub(super) sent: AtomicU64,
}

impl Transport for Planted {
    type Body = Received;

    async fn send(&self, request: &Request) -> Result<Response<Received>, Failure> {
        if let Some(planted) = self.panic_at {
            let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(sent != planted, "planted panic in request {sent}");
        }
        self.web.send(request).await
    }

    fn close_idle(&self) {
        self.web.close_idle();
    }
}
