use billing::domain::grants::Invoice;
use billing::domain::invoices::{Content, Draft, draft};
use billing::store::grants::grant_hold;

fn accept(conn: &mut store::Conn, content: Content) -> Option<Draft> {
    let held = grant_hold::<Invoice>(conn, &content.contact, 1).ok()??;
    draft(content, &held).ok()
}

fn main() {
    let _ = accept;
}
