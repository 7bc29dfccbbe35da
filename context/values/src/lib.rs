#![doc = include_str!("../README.md")]

use std::error::Error;
use std::fmt;

use common::Context;

/// The user who sends the request. The type is the key under which a context carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId(pub String);

/// Which request this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// What a context says about the request that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'ctx> {
    /// Which request this is.
    pub id: &'ctx RequestId,
    /// Who asks.
    pub user: &'ctx UserId,
}

/// The context does not carry a value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub &'static str);

impl<'ctx> Request<'ctx> {
    /// Reads the request from its context, or says what is missing in it.
    pub fn of(ctx: &'ctx Context) -> Result<Self, Missing> {
        let id = ctx.value().ok_or(Missing("RequestId"))?;
        let user = ctx.value().ok_or(Missing("UserId"))?;
        Ok(Self { id, user })
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the context carries no {}", self.0)
    }
}

impl Error for Missing {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId(name.to_owned())
    }

    fn request(name: &str) -> RequestId {
        RequestId(name.to_owned())
    }

    #[test]
    fn values_are_found_from_any_context_below() {
        let ctx = Context::background().with_value(user("ada")).with_value(request("r1"));
        let below = ctx.with_cancel().with_timeout(Duration::from_secs(1));
        let found = Request { id: &request("r1"), user: &user("ada") };
        assert_eq!(Request::of(&below), Ok(found));
    }

    #[test]
    fn the_nearest_value_of_a_type_counts() {
        let outer = Context::background().with_value(user("ada")).with_value(request("r1"));
        let inner = outer.with_value(request("r2"));
        assert_eq!(Request::of(&inner).unwrap().id, &request("r2"));
        assert_eq!(Request::of(&outer).unwrap().id, &request("r1"));
    }

    #[test]
    fn values_with_the_same_content_do_not_collide() {
        let ctx = Context::background().with_value(user("same")).with_value(request("same"));
        let found = Request::of(&ctx).unwrap();
        assert_eq!((&found.id.0, &found.user.0), (&"same".to_owned(), &"same".to_owned()));
    }

    #[test]
    fn an_id_prints_unchanged() {
        assert_eq!(format!("{} {}", user("ada"), request("r1")), "ada r1");
    }

    #[test]
    fn a_missing_value_is_named() {
        let ctx = Context::background().with_value(request("r1")).with_value("user123");
        let err = Request::of(&ctx).unwrap_err();
        assert_eq!(err.to_string(), "the context carries no UserId");
    }
}
