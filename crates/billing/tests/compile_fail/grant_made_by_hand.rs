use std::marker::PhantomData;

use billing::domain::grants::{Grant, Invoice};
use billing::store::grants::Held;

fn forge(tx: &mut store::Conn, grant: Grant) -> Held<'_, Invoice> {
    Held { tx, grant, entitlement: PhantomData }
}

fn main() {
    let _ = forge;
}
