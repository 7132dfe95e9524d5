//! tonic handlers: parse, call the use case, render.

use tonic::{Request, Response, Status};

use crate::app::calls::{Call, Done};
use crate::error::Error;

pub mod invoices;
pub mod projects;
mod rules;
mod status;

/// The header of an answer that was given before.
const REPLAYED: &str = "clientele-replayed";

fn call<T>(request: &Request<T>) -> Call {
    Call {
        actor: serve::caller(request).principal,
        deadline: serve::deadline(request),
    }
}

fn answer<T>(outcome: Result<T, Error>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(status::of)
}

fn done<T>(outcome: Result<Done<T>, Error>) -> Result<Response<T>, Status> {
    let Done { value, replayed } = outcome.map_err(status::of)?;
    let mut response = Response::new(value);
    if replayed {
        let yes = tonic::metadata::MetadataValue::from_static("1");
        response.metadata_mut().insert(REPLAYED, yes);
    }
    Ok(response)
}
