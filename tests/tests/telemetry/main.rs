//! What leaves the processes as telemetry, taken by a real receiver of OTLP.

mod collectors;
mod files;
mod measured;
mod story;
mod traces;
