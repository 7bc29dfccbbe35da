//! `#[leak_check]` above an async test runs the body of the test inside `leaks::leak_check`.
//! `leaks` re-exports it.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Runs the body of an async function inside `leaks::leak_check`. It stands above `#[tokio::test]`,
/// which makes the function one that is not async:
///
/// ```ignore
/// #[leak_check]
/// #[tokio::test(start_paused = true)]
/// async fn a_task_ends() {}
/// ```
#[proc_macro_attribute]
pub fn leak_check(_: TokenStream, function: TokenStream) -> TokenStream {
    let mut tokens: Vec<_> = function.into_iter().collect();
    let is_async = tokens.iter().any(|token| token.to_string() == "async");
    let (true, Some(TokenTree::Group(body))) = (is_async, tokens.pop()) else {
        return code(
            "compile_error!(\"#[leak_check] stands above #[tokio::test], on an async fn\");",
        );
    };
    let mut checked = code("::leaks::leak_check");
    let body = code("async move").into_iter().chain([body.into()]).collect();
    checked.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, body))]);
    checked.extend(code(".await"));
    tokens.push(Group::new(Delimiter::Brace, checked).into());
    tokens.into_iter().collect()
}

fn code(text: &str) -> TokenStream {
    text.parse().expect("it is Rust")
}
