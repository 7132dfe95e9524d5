//! Billing as its callers see it, on both engines, with a pipeline that the tests hold in their hands.

mod answers;
mod attaching;
mod buyers;
mod demotions;
mod drafts;
mod epochs;
mod frozen;
mod gate;
mod lists;
mod lost;
mod numbers;
mod outside;
mod projects;
mod recalls;
mod refused;
mod schema;
mod support;
mod tried;
mod waiting;
