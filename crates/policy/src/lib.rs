//! The progression engine: policies as data, and one pure function that decides.
//!
//! A [`definition::Definition`] says in YAML, JSON or protobuf which stages there are, what they
//! mean and grant, who may move where, and what must be true for it. A [`Compiler`] checks it once,
//! when it is saved, and makes a [`Policy`]. [`decide`] takes that policy, where a contact stands,
//! what is known about it and what is asked, and answers with the transitions and effects that
//! follow, or with a refusal that lists every failed guard.
//!
//! ```
//! use policy::{Command, Compiler, Facts, Fields, Position, Request, decide, presets};
//! use types::Micros;
//!
//! let compiler = Compiler::start()?;
//! let definition = presets::get("one-way").expect("it ships").definition()?;
//! let policy = compiler.compile(&definition, &Fields::none())?;
//!
//! let now = Micros(1_000_000);
//! let lead = Position::at("lead", 1, Micros(0));
//! let command = Command::Convert {
//!     stage: "client",
//!     request: Request { actor: "ada@example.com", ..Request::default() },
//!     effective_time: None,
//! };
//!
//! // Without an e-mail address nobody can log in, and the refusal says so.
//! let mut facts = Facts::default();
//! let refusal = decide(&policy, &lead, &facts, command, now).expect_err("a guard fails");
//! assert_eq!(refusal.reason(), "GUARD_NOT_MET");
//! assert_eq!(refusal.failed_guards()[0].readings[0].path, "contact.has_email");
//!
//! facts.contact.has_email = true;
//! let decision = decide(&policy, &lead, &facts, command, now)?;
//! assert!(decision.transitions[0].skip);
//! assert!(policy.entitles("client", "invoice"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: no clock, no database, no network, no async. Time, facts and what was recorded come
//! in as arguments.

pub mod activation;
pub mod company;
mod compiler;
mod decide;
pub mod definition;
pub mod entitlements;
mod expression;
mod facts;
mod fault;
pub mod history;
mod policy;
pub mod presets;
mod preview;
mod score;
mod span;
mod validate;

pub use self::compiler::Compiler;
pub use self::decide::{
    Cause, Closing, Command, Decision, Due, Effect, FailedGuard, Fold, POLICY_ACTOR, Permissions,
    Position, Refusal, Request, Trail, Transition, Withheld, decide, due, fold,
};
pub use self::definition::Definition;
pub use self::expression::{FieldType, Fields, Reading};
pub use self::facts::{
    Activity, Attribute, ContactFacts, Engagement, Facts, IdentityFacts, InterestFacts,
    OpportunityFacts, QualificationFacts, SourceFacts,
};
pub use self::fault::{CompileError, Fault, FaultCode};
pub use self::policy::Policy;
pub use self::preview::{GuardPreview, StagePreview, preview};
pub use self::score::{Scored, Term, score};
pub use self::span::{Span, SpanInvalid};
pub use self::validate::{
    EFFECTS_MAX, ENTITLEMENTS_MAX, EXPRESSIONS_BYTES_MAX, GUARDS_MAX, GUARDS_PER_MOVE_MAX,
    INTAKE_MAX, REASONS_MAX, SCORES_MAX, STAGES_MAX, TRANSITIONS_MAX, TRIGGERS_MAX, is_slug,
};
