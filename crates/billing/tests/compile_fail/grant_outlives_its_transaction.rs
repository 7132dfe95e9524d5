use billing::domain::grants::Invoice;
use billing::store::grants::{Held, grant_hold};
use types::ContactName;

fn keep(contact: ContactName) -> impl Fn(&mut store::Conn) -> Option<Held<'static, Invoice>> {
    move |conn| grant_hold::<Invoice>(conn, &contact, 1).ok()?
}

fn main() {
    let _ = keep;
}
