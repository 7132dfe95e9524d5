use billing::domain::grants::{Grant, Invoice};
use billing::store::grants::Entitled;

struct Mine(Grant);

impl Entitled<Invoice> for Mine {
    fn grant(&self) -> &Grant {
        &self.0
    }
}

fn main() {
    let _ = Mine;
}
