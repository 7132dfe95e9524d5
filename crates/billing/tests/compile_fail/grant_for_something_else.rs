use billing::domain::grants::Project;
use billing::domain::invoices::{Content, draft};
use billing::store::grants::Held;

fn accept(content: Content, held: Held<'_, Project>) {
    let _ = draft(content, &held);
}

fn main() {
    let _ = accept;
}
