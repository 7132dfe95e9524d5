//! Writes the method table and, per service, a trait for the service's own rules and the
//! implementation of the tonic trait by `crate::Guarded`: authorise, validate, ask the service's own
//! rules, then call the inner service.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use prost_reflect::{
    DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage as _, ServiceDescriptor,
};

use crate::fault::Fault;
use crate::names::{self, Names};
use crate::options::{message_option, text};
use crate::workspace::workspace_field;

/// The services that can call each other.
const SUITE: [&str; 3] = ["contacts", "pipeline", "billing"];

pub fn generate(pool: &DescriptorPool, names: &Names) -> Result<String, Fault> {
    let mut methods: Vec<MethodDescriptor> = pool
        .services()
        .filter(|service| names.owns(service.package_name()))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    methods.sort_by_key(path);

    let mut out = String::new();
    table(&mut out, pool, &methods)?;
    scopes(&mut out, pool, names, &methods);
    let services: Vec<ServiceDescriptor> = pool
        .services()
        .filter(|service| names.owns(service.package_name()))
        .collect();
    out.push_str("/// What the services' own rules find in requests, one trait a service.\npub mod rules {\n");
    for service in &services {
        rules(&mut out, names, service);
    }
    out.push_str("}\n\n");
    for service in &services {
        guard(&mut out, names, service, &methods)?;
    }
    Ok(out)
}

/// The path of an rpc in HTTP/2.
fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The table of all methods, in the order of their paths.
fn table(
    out: &mut String,
    pool: &DescriptorPool,
    methods: &[MethodDescriptor],
) -> Result<(), Fault> {
    let _ = writeln!(
        out,
        "/// Every method, in the order of the paths.\npub static METHODS: [crate::Method; {}] = [",
        methods.len()
    );
    for method in methods {
        let fault = |problem: &str| Fault::at(&method.parent_file(), method.full_name(), problem);
        let policy = message_option(
            pool,
            &method.options(),
            "clientele.options.v1.method_policy",
        )
        .ok_or_else(|| fault("the option clientele.options.v1.method_policy is missing"))?;
        if method.is_client_streaming() {
            return Err(fault(
                "client streaming is not offered: browsers and proxies lack it",
            ));
        }
        let permission = text(&policy, "permission");
        if permission.is_empty() {
            return Err(fault("method_policy.permission is empty"));
        }
        let word = |field: &str| {
            enum_word(&policy, field)
                .ok_or_else(|| fault(&format!("method_policy.{field} is not set")))
        };
        let internal = policy
            .get_field_by_name("internal")
            .is_some_and(|value| value.as_bool() == Some(true));
        let callers = callers(&policy);
        if let Some(stranger) = callers.iter().find(|name| !SUITE.contains(&name.as_str())) {
            return Err(fault(&format!(
                "method_policy.callers names `{stranger}`, which is no service of the suite"
            )));
        }
        if internal && callers.is_empty() {
            return Err(fault(
                "method_policy.callers is empty: nobody could call it",
            ));
        }
        let _ = writeln!(
            out,
            "    crate::Method {{ service: {:?}, name: {:?}, path: {:?}, permission: {permission:?}, idempotency: crate::options::v1::Idempotency::{}, criticality: crate::options::v1::Criticality::{}, internal: {internal}, callers: &{callers:?}, streaming: {}, scoped: {} }},",
            method.parent_service().full_name(),
            method.name(),
            path(method),
            word("idempotency")?,
            word("criticality")?,
            method.is_server_streaming(),
            workspace_field(pool, &method.input()).is_some(),
        );
    }
    out.push_str("];\n\n");
    Ok(())
}

/// The services that may call the method.
fn callers(policy: &DynamicMessage) -> Vec<String> {
    let listed = policy.get_field_by_name("callers");
    let names = listed.as_ref().and_then(|value| value.as_list());
    names
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// The Rust variant of an enum field, unless it is unspecified: `IDEMPOTENCY_READ` is `Read`.
fn enum_word(policy: &DynamicMessage, field: &str) -> Option<String> {
    let value = policy.get_field_by_name(field)?.as_enum_number()?;
    let kind = policy.descriptor().get_field_by_name(field)?.kind();
    let declared = kind.as_enum()?.get_value(value).filter(|_| value != 0)?;
    let prefix = format!("{}_", field.to_uppercase());
    Some(names::camel(declared.name().strip_prefix(&prefix)?))
}

/// Where each request says which workspace it is about.
fn scopes(out: &mut String, pool: &DescriptorPool, names: &Names, methods: &[MethodDescriptor]) {
    let mut written = BTreeSet::new();
    for request in methods.iter().map(MethodDescriptor::input) {
        if !written.insert(request.full_name().to_owned()) {
            continue;
        }
        let found = workspace_field(pool, &request);
        let (field, expression) = found.map_or_else(
            || ("None".to_owned(), "None".to_owned()),
            |found| {
                let expression = format!("({}).and_then(crate::Scope::of)", found.expression);
                (format!("Some({:?})", found.path), expression)
            },
        );
        let _ = writeln!(
            out,
            "impl crate::WorkspaceScoped for {} {{\n    const FIELD: Option<&'static str> = {field};\n    fn scope(&self) -> Option<crate::Scope<'_>> {{ {expression} }}\n}}",
            names.message(&request)
        );
    }
}

/// The trait by which a service says what its own rules find in a request. Without a method for
/// requests that have no fields: there is nothing to find in them.
fn rules(out: &mut String, names: &Names, service: &ServiceDescriptor) {
    let name = names::camel(service.name());
    let _ = writeln!(
        out,
        "/// What {name}'s own rules find in requests. A method that is left out finds nothing.\npub trait {name}Rules: Send + Sync + 'static {{"
    );
    for method in service.methods().filter(has_rules) {
        let _ = writeln!(
            out,
            "/// What is wrong with a request of {}.\nfn {}(&self, request: &{}, found: &mut crate::Findings) {{ let _ = (request, found); }}",
            method.name(),
            names::snake(method.name()),
            names.message(&method.input()),
        );
    }
    out.push_str("}\n");
}

/// Whether there is anything in its requests for a service's own rules to look at.
fn has_rules(method: &MethodDescriptor) -> bool {
    method.input().fields().len() > 0
}

/// The implementation of a service's trait by `Guarded`.
///
/// The futures are boxed by the inner service alone, since a refusal needs no waiting; that is why
/// the signatures are written out as `async_trait` would expand them.
fn guard(
    out: &mut String,
    names: &Names,
    service: &ServiceDescriptor,
    methods: &[MethodDescriptor],
) -> Result<(), Fault> {
    let contract = format!(
        "{}::{}",
        names.server(service),
        names::camel(service.name())
    );
    let own = format!("rules::{}Rules", names::camel(service.name()));
    let _ = writeln!(
        out,
        "impl<S: {contract} + {own}, A: crate::Admission> {contract} for crate::Guarded<S, A> {{"
    );
    for method in service.methods() {
        let index = methods
            .iter()
            .position(|other| *other == method)
            .ok_or_else(|| Fault::new("a method that is not in the table"))?;
        let call = names::snake(method.name());
        let asked = if has_rules(&method) {
            format!("<S as {own}>::{call}")
        } else {
            "|_, _, _| {}".to_owned()
        };
        let answer = if method.is_server_streaming() {
            let stream = format!("{}Stream", method.name());
            let _ = writeln!(out, "    type {stream} = S::{stream};");
            format!("Self::{stream}")
        } else {
            names.message(&method.output())
        };
        let _ = writeln!(
            out,
            r"    fn {call}<'life0, 'async_trait>(
        &'life0 self,
        request: ::tonic::Request<{request}>,
    ) -> ::std::pin::Pin<Box<dyn ::std::future::Future<Output = Result<::tonic::Response<{answer}>, ::tonic::Status>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {{
        match self.check(&METHODS[{index}], &request, {asked}) {{
            Ok(()) => <S as {contract}>::{call}(self.inner(), request),
            Err(refusal) => Box::pin(::std::future::ready(Err(refusal))),
        }}
    }}",
            request = names.message(&method.input()),
        );
    }
    out.push_str("}\n\n");
    Ok(())
}
