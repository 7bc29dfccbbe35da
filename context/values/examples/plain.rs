//! A request's values are a struct: the compiler knows their names and types.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

struct Request {
    user_id: String,
    request_id: String,
}

#[tokio::main]
async fn main() {
    // Shared, because a request may be worked on by several tasks.
    let request = Arc::new(Request { user_id: "user123".into(), request_id: "req456".into() });

    let task = tokio::spawn(process(Arc::clone(&request)));
    task.await.expect("the request's task does not panic"); // ends with the request, after 1 s
}

async fn process(request: Arc<Request>) {
    println!("Processing request {} for user {}", request.request_id, request.user_id);

    let work = sleep(Duration::from_secs(1));
    match timeout(Duration::from_secs(2), work).await {
        Ok(()) => println!("Request {} completed", request.request_id),
        Err(elapsed) => println!("Request {} cancelled: {elapsed}", request.request_id),
    }
}
