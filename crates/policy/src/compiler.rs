//! The one thread on which definitions become policies.
//!
//! Parsing recurses once per term, so it runs on a stack large enough for the longest source that
//! is let through; what is refused is dropped there too. Callers wait, but never for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::definition::Definition;
use crate::expression::{self, Expression, Fields};
use crate::fault::{CompileError, Fault, FaultCode};
use crate::policy::Policy;
use crate::validate;

/// The stack of the compiler's thread; address space, touched only as deep as a source is.
const STACK_BYTES: usize = 64 << 20;
/// Definitions that may wait; one more is told that the compiler is busy.
const QUEUE_MAX: usize = 16;
/// The longest a caller waits. A definition at every limit takes a small part of it.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Compiles definitions. Cheap to clone; the thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Compiler {
    queue: SyncSender<Job>,
}

/// The expressions of one definition.
struct Job {
    sources: Vec<String>,
    fields: Fields,
    reply: SyncSender<Vec<Compiled>>,
}

type Compiled = Result<Expression, Vec<String>>;

impl Compiler {
    /// Starts the compiler's thread.
    pub fn start() -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        thread::Builder::new()
            .name("policy-compiler".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&jobs))?;
        Ok(Self { queue })
    }

    /// Checks `definition` and compiles its expressions, whose attributes have the types that
    /// `fields` declares.
    ///
    /// Lists every fault there is: first those of the definition's shape, then those of its
    /// expressions, each in the order of the definition. Blocks for as long as parsing takes,
    /// typically well under a millisecond, so async callers run it on a blocking thread.
    pub fn compile(
        &self,
        definition: &Definition,
        fields: &Fields,
    ) -> Result<Policy, CompileError> {
        let mut faults = validate::faults(definition);
        let sites = validate::expressions(definition);
        if let Some(fault) = validate::expressions_too_large(&sites) {
            faults.push(fault);
            return Err(CompileError::Invalid(faults));
        }
        let sources = sites.iter().map(|site| site.source.to_owned()).collect();
        let mut expressions = Vec::with_capacity(sites.len());
        for (site, compiled) in sites.iter().zip(self.expressions(sources, fields)?) {
            match compiled {
                Ok(expression) => expressions.push(expression),
                Err(problems) => faults.extend(problems.into_iter().map(|problem| Fault {
                    path: site.path.clone(),
                    code: FaultCode::PolicyExpressionInvalid,
                    message: format!("The expression {problem}."),
                })),
            }
        }
        if faults.is_empty() {
            Ok(Policy::new(definition.clone(), fields.clone(), expressions))
        } else {
            Err(CompileError::Invalid(faults))
        }
    }

    fn expressions(
        &self,
        sources: Vec<String>,
        fields: &Fields,
    ) -> Result<Vec<Compiled>, CompileError> {
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = sync_channel(1);
        let job = Job {
            sources,
            fields: fields.clone(),
            reply,
        };
        self.queue.try_send(job).map_err(|_| CompileError::Busy)?;
        answer
            .recv_timeout(WAIT_MAX)
            .map_err(|_| CompileError::Busy)
    }
}

/// The thread: one job after another until nobody can send any more.
fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let compiled = job
            .sources
            .iter()
            .map(|source| one(source, &job.fields))
            .collect();
        // A caller who stopped waiting needs no answer.
        let _ = job.reply.try_send(compiled);
    }
}

fn one(source: &str, fields: &Fields) -> Compiled {
    catch_unwind(AssertUnwindSafe(|| expression::compile(source, fields)))
        .unwrap_or_else(|_| Err(vec!["cannot be read".to_owned()]))
}
