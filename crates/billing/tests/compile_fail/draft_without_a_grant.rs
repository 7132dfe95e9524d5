use billing::domain::grants::Grant;
use billing::domain::invoices::{Content, draft};

fn accept(content: Content, grant: Grant) {
    let _ = draft(content.clone(), &());
    let _ = draft(content, &grant);
}

fn main() {
    let _ = accept;
}
