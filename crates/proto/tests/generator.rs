//! The generator stops the build on protos that it does not fully understand, and says where.

#[path = "../build/checks.rs"]
mod checks;
#[path = "../build/fault.rs"]
#[allow(dead_code, reason = "the build uses more of it")]
mod fault;
#[path = "../build/names.rs"]
#[allow(dead_code, reason = "the build uses more of it")]
mod names;
#[path = "../build/options.rs"]
mod options;
#[path = "../build/services.rs"]
mod services;
#[path = "../build/validate.rs"]
mod validate;
#[path = "../build/workspace.rs"]
mod workspace;

use std::fs;
use std::path::Path;

use prost_reflect::DescriptorPool;

use crate::names::FIXTURE;

/// A package with one message of these fields and one method with these options.
fn compiled(fields: &str, options: &str) -> Result<DescriptorPool, String> {
    let source = format!(
        r#"syntax = "proto3";
        package fixture.v1;
        import "buf/validate/validate.proto";
        import "clientele/options/v1/options.proto";
        import "google/protobuf/duration.proto";
        service S {{ rpc Do(DoRequest) returns (DoResponse) {{ {options} }} }}
        message DoRequest {{ {fields} }}
        message DoResponse {{}}
        enum Colour {{ COLOUR_UNSPECIFIED = 0; }}"#
    );
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("test.proto"), source).expect("the proto is written");
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let includes = [folder.path(), &protos.join("third_party"), &protos];
    let mut compiler = protox::Compiler::new(includes).expect("the folders exist");
    compiler
        .open_file("test.proto")
        .map_err(|error| error.to_string())?;
    Ok(compiler.descriptor_pool())
}

const POLICY: &str = r#"option (clientele.options.v1.method_policy) = {
    permission: "things.read" idempotency: IDEMPOTENCY_READ criticality: CRITICALITY_DEFAULT
};"#;

/// What the generator says to a field.
fn fault_of_field(field: &str) -> String {
    let pool = compiled(field, POLICY).expect("protox takes it");
    validate::generate(&pool, &FIXTURE)
        .expect_err("the generator refuses it")
        .to_string()
}

/// What the generator says to the options of a method.
fn fault_of_method(options: &str) -> String {
    let pool = compiled("string name = 1;", options).expect("protox takes it");
    services::generate(&pool, &FIXTURE)
        .expect_err("the generator refuses it")
        .to_string()
}

#[test]
fn a_rule_that_is_not_declared_does_not_compile() {
    let outcome = compiled(
        "string f = 1 [(buf.validate.field).string.email = true];",
        POLICY,
    );
    assert!(outcome.expect_err("refused").contains("email"));
}

#[test]
fn rules_that_make_no_sense_stop_the_build_with_file_and_field() {
    let place = "test.proto: fixture.v1.DoRequest.f: ";
    for (field, problem) in [
        (
            "string f = 1 [(buf.validate.field).int32.gt = 1];",
            "rules of int32 on a field of string",
        ),
        (
            "bool f = 1 [(buf.validate.field).string.len = 1];",
            "rules of string on a field of bool",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).string.len = 1];",
            "rules of string on a field of repeated",
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = \"(\"];",
            "bad pattern",
        ),
        (
            "string f = 1 [(buf.validate.field).string.uuid = false];",
            "does not know the rule `string.uuid`",
        ),
        (
            "Colour f = 1 [(buf.validate.field).enum.defined_only = false];",
            "does not know the rule `enum.defined_only`",
        ),
        (
            "oneof o { string f = 1 [(buf.validate.field).required = true]; }",
            "for the oneof",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).repeated.items.required = true];",
            "not for elements",
        ),
        (
            "map<int32, string> f = 1 [(buf.validate.field).map.values.string.max_len = 1];",
            "string keys",
        ),
    ] {
        let fault = fault_of_field(field);
        assert!(
            fault.starts_with(place) && fault.contains(problem),
            "{field}\n{fault}"
        );
    }
}

#[test]
fn methods_must_say_everything() {
    let place = "test.proto: fixture.v1.S.Do: ";
    let policy = "option (clientele.options.v1.method_policy)";
    for (options, problem) in [
        (String::new(), "method_policy is missing"),
        (
            format!("{policy} = {{idempotency: IDEMPOTENCY_READ}};"),
            "permission is empty",
        ),
        (
            format!("{policy} = {{permission: \"p\" internal: true}};"),
            "callers is empty",
        ),
        (
            format!("{policy} = {{permission: \"p\" callers: \"evil\"}};"),
            "names `evil`, which is no service of the suite",
        ),
        (
            format!("{policy} = {{permission: \"p\"}};"),
            "idempotency is not set",
        ),
        (
            format!("{policy} = {{permission: \"p\" idempotency: IDEMPOTENCY_READ}};"),
            "criticality is not set",
        ),
    ] {
        let fault = fault_of_method(&options);
        assert!(
            fault.starts_with(place) && fault.contains(problem),
            "{options}\n{fault}"
        );
    }
}
