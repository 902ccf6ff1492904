//! The conformance suite of backends: drives a server over real HTTP and says, point by point, what it keeps.
//!
//! It needs nothing of a server but its address and an account, so that a backend in any language can be put to it,
//! whether it speaks this project's own protocol or a feed of its own (a [`Dialect`]). What a dialect cannot promise
//! is reported as such, and not as a failure.
//!
//! ```no_run
//! use sync_http::dialect::Feed;
//! use sync_testing::backend::{self, Login, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::new("http://127.0.0.1:8080/", Login::new("alice", "alice-token"))
//!     .other(Login::new("bob", "bob-token"))
//!     .dialect(Feed::since());
//! let report = backend::check(&target).await?;
//! println!("{report}");
//! assert!(report.passed());
//! # Ok(())
//! # }
//! ```
//!
//! It writes: into scopes that it makes up, or into those that it is given. Give it a server for tests.
//! `docs/testing-your-backend.md` in the repository says what each point means, and `examples/check-backend` is a
//! program around this module.

mod cases;
mod failure;
mod http;
mod report;
mod session;
mod target;
mod trial;

pub use cases::{Case, all};
pub use report::{Finding, Point, Report, check};
pub use sync_http::dialect::Dialect;
pub use target::{Login, Target, TargetError};
