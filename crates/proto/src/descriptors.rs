//! The descriptors of all protos, as bytes and as a pool to look things up in.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The encoded `google.protobuf.FileDescriptorSet` of all protos with their options, without
/// comments: what server reflection answers with.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTOR_SET).expect("the build has written a valid descriptor set")
});

/// All descriptors; decoded at the first use (some milliseconds).
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The descriptor of a message that the build has generated.
pub(crate) fn descriptor_of(full_name: &str) -> MessageDescriptor {
    pool()
        .get_message_by_name(full_name)
        .expect("every generated message is in the descriptor set")
}
