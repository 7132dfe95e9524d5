//! Writes the link from each message to its descriptor (`prost_reflect::ReflectMessage`).

use std::fmt::Write as _;

use prost_reflect::DescriptorPool;

use crate::names::Names;
use crate::validate::generated_messages;

pub fn generate(pool: &DescriptorPool, names: &Names) -> String {
    let mut out = String::new();
    for message in generated_messages(pool, names) {
        let _ = writeln!(
            out,
            r#"impl ::prost_reflect::ReflectMessage for {path} {{
    fn descriptor(&self) -> ::prost_reflect::MessageDescriptor {{
        static DESCRIPTOR: ::std::sync::LazyLock<::prost_reflect::MessageDescriptor> =
            ::std::sync::LazyLock::new(|| crate::descriptor_of("{full_name}"));
        DESCRIPTOR.clone()
    }}
}}"#,
            path = names.message(&message),
            full_name = message.full_name(),
        );
    }
    out
}
