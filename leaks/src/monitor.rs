use std::io;
use std::time::Duration;

use common::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::live_tasks;

/// The longest time for one scrape, so that a stalled client does not block the next one.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers every HTTP request with the live task count, in the text format of Prometheus, until the
/// context ends. A client that leaves or stalls gets no answer, and others are not affected.
///
/// # Errors
///
/// If no more connections can be accepted.
///
/// # Cancel safety
///
/// Dropping the future closes the listener.
pub async fn serve_count(listener: TcpListener, ctx: Context) -> io::Result<()> {
    while let Ok(accepted) = ctx.run(listener.accept()).await {
        let (client, _) = accepted?;
        let _missed = ctx.with_timeout(PATIENCE).run(answer(client)).await;
    }
    Ok(())
}

async fn answer(mut client: TcpStream) -> io::Result<()> {
    let _request = client.read(&mut [0; 4096]).await?; // a scraper's GET comes in one packet
    let body = format!("# TYPE live_tasks gauge\nlive_tasks {}\n", live_tasks());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    let page = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    client.write_all(page.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::leak_check;

    #[leak_check]
    #[tokio::test]
    async fn serves_the_count_until_the_context_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ctx = Context::background();
        let server = tokio::spawn(serve_count(listener, ctx.clone()));
        let leak = tokio::spawn(pending::<()>());

        drop(TcpStream::connect(address).await.unwrap()); // leaves without asking
        let page = get(address).await;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.ends_with("\r\n\r\n# TYPE live_tasks gauge\nlive_tasks 2\n"), "{page}");

        leak.abort();
        ctx.cancel();
        server.await.unwrap().unwrap();
    }

    async fn get(address: std::net::SocketAddr) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut page = String::new();
        client.read_to_string(&mut page).await.unwrap();
        page
    }
}
