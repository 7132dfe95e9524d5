//! Makes the Rust code of the protos: compiles them with protox (no protoc is needed), has prost and
//! tonic write messages, clients and servers, and adds what they don't: validation, method tables,
//! the guarding decorator and the link from each message to its descriptor.
//!
//! Everything goes to `OUT_DIR`; nothing generated is committed.

mod checks;
mod fault;
mod names;
mod options;
mod references;
mod reflect;
mod services;
mod validate;
mod workspace;

use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_reflect::DescriptorPool;
use protox::Compiler;

use crate::fault::Fault;
use crate::names::{FIXTURE, Names, SUITE};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let crate_root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let protos = crate_root.join("../../proto");
    let third_party = protos.join("third_party");
    let fixture = crate_root.join("tests/fixture");
    watch(&[&protos, &fixture, &crate_root.join("build")]);

    let mut files = proto_files(&protos.join("clientele"))?;
    files.extend(proto_files(&third_party.join("google/type"))?);
    let suite = compile(&files, &[&third_party, &protos])?;
    fs::write(out.join("descriptor_set.bin"), &suite.descriptor_set)?;
    generate(&suite, &SUITE, &out.join("suite"))?;

    let fixture = compile(&proto_files(&fixture)?, &[&fixture, &third_party, &protos])?;
    generate(&fixture, &FIXTURE, &out.join("fixture"))?;
    Ok(())
}

/// Asks cargo to build again when something in these folders changes.
#[expect(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn watch(folders: &[&Path]) {
    for folder in folders {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
}

/// A set of compiled proto files.
struct Compiled {
    pool: DescriptorPool,
    /// The encoded set with all options and without comments.
    descriptor_set: Vec<u8>,
    /// The set with comments, which become the documentation of the Rust code.
    commented: tonic_prost_build::FileDescriptorSet,
}

fn compile(files: &[PathBuf], includes: &[&Path]) -> Result<Compiled, Fault> {
    let mut compiler = Compiler::new(includes).map_err(Fault::from_display)?;
    compiler.include_imports(true);
    for file in files {
        compiler
            .open_file(file)
            .map_err(|error| Fault::new(format!("{error:?}")))?;
    }
    let descriptor_set = compiler.encode_file_descriptor_set();
    compiler.include_source_info(true);
    Ok(Compiled {
        pool: compiler.descriptor_pool(),
        descriptor_set,
        commented: compiler.file_descriptor_set(),
    })
}

fn generate(compiled: &Compiled, names: &Names, out: &Path) -> Result<(), Fault> {
    fs::create_dir_all(out).map_err(Fault::from_display)?;
    let mut files = compiled.commented.clone();
    // Prost wants to know what it refers to, even where that has its code elsewhere.
    files.file.retain(|file| {
        let package = file.package();
        names.owns(package) || ["google.protobuf", "google.type", "google.rpc"].contains(&package)
    });
    let mut builder =
        tonic_prost_build::configure().extern_path(".google.rpc", "::tonic_types::pb");
    if !names.owns("google.type") {
        builder = builder.extern_path(".google.type", "crate::fixture::google_type");
    }
    builder
        .btree_map(".")
        .out_dir(out)
        .include_file("mod.rs")
        .emit_rerun_if_changed(false)
        .compile_fds(files)
        .map_err(Fault::from_display)?;

    let ours = [
        ("validate.rs", validate::generate(&compiled.pool, names)?),
        ("references.rs", references::generate(&compiled.pool, names)),
        ("reflect.rs", reflect::generate(&compiled.pool, names)),
        ("services.rs", services::generate(&compiled.pool, names)?),
    ];
    for (file, text) in ours {
        fs::write(out.join(file), text).map_err(Fault::from_display)?;
    }
    Ok(())
}

/// All proto files below `folder`, in the order of their paths.
fn proto_files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Fault::from_display)? {
        let path = entry.map_err(Fault::from_display)?.path();
        if path.is_dir() {
            found.extend(proto_files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
