//! What a file says of a contact that is known already.

use super::record::{ContactRecord, Kind};

impl ContactRecord {
    /// Lays another record of the same contact over this one: what it says replaces or extends,
    /// what it leaves blank changes nothing. E-mail addresses are the same without regard to case,
    /// phone numbers by their digits.
    pub fn apply(&mut self, newer: &Self) {
        let texts = [
            (&mut self.name, &newer.name),
            (&mut self.display_name, &newer.display_name),
            (&mut self.given_name, &newer.given_name),
            (&mut self.family_name, &newer.family_name),
            (&mut self.title, &newer.title),
            (&mut self.organization, &newer.organization),
            (&mut self.owner, &newer.owner),
            (&mut self.tax_id, &newer.tax_id),
            (&mut self.legal_name, &newer.legal_name),
            (&mut self.note, &newer.note),
            (&mut self.requested_stage, &newer.requested_stage),
        ];
        for (old, new) in texts {
            if !new.is_empty() {
                old.clone_from(new);
            }
        }
        if newer.kind != Kind::Unspecified {
            self.kind = newer.kind;
        }
        self.apply_points(newer);
        extend_new(
            &mut self.postal_addresses,
            &newer.postal_addresses,
            |a, b| a == b,
        );
        extend_new(&mut self.urls, &newer.urls, |a, b| a == b);
        extend_new(
            &mut self.relationship_kinds,
            &newer.relationship_kinds,
            |a, b| a == b,
        );
        extend_new(&mut self.external_ids, &newer.external_ids, |a, b| a == b);
        self.facts.extend(newer.facts.clone());
        self.labels.extend(newer.labels.clone());
        self.attributes.extend(newer.attributes.clone());
    }

    fn apply_points(&mut self, newer: &Self) {
        if newer.emails.iter().any(|email| email.primary) {
            self.emails
                .iter_mut()
                .for_each(|email| email.primary = false);
        }
        for new in &newer.emails {
            match self
                .emails
                .iter_mut()
                .find(|e| e.address.eq_ignore_ascii_case(&new.address))
            {
                Some(old) => {
                    old.primary |= new.primary;
                    replace_unless_blank(&mut old.label, &new.label);
                }
                None => self.emails.push(new.clone()),
            }
        }
        if newer.phones.iter().any(|phone| phone.primary) {
            self.phones
                .iter_mut()
                .for_each(|phone| phone.primary = false);
        }
        for new in &newer.phones {
            match self
                .phones
                .iter_mut()
                .find(|p| same_number(&p.number, &new.number))
            {
                Some(old) => {
                    old.primary |= new.primary;
                    replace_unless_blank(&mut old.label, &new.label);
                    replace_unless_blank(&mut old.region, &new.region);
                }
                None => self.phones.push(new.clone()),
            }
        }
    }
}

fn replace_unless_blank(old: &mut String, new: &str) {
    if !new.is_empty() {
        new.clone_into(old);
    }
}

fn extend_new<T: Clone>(old: &mut Vec<T>, new: &[T], same: impl Fn(&T, &T) -> bool) {
    for item in new {
        if !old.iter().any(|known| same(known, item)) {
            old.push(item.clone());
        }
    }
}

/// Numbers without any digit, such as a placeholder, are compared as they are.
fn same_number(a: &str, b: &str) -> bool {
    let significant = |text: &str| -> String {
        text.chars()
            .filter(|c| c.is_ascii_digit() || *c == '+')
            .collect()
    };
    let (digits_a, digits_b) = (significant(a), significant(b));
    if digits_a.is_empty() && digits_b.is_empty() {
        a == b
    } else {
        digits_a == digits_b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::record::Email;

    #[test]
    fn blanks_never_overwrite() {
        let email = |address: &str, label: &str, primary| Email {
            address: address.into(),
            label: label.into(),
            primary,
        };
        let mut known = ContactRecord {
            given_name: "Ada".into(),
            title: "Engineer".into(),
            emails: vec![email("ada@example.com", "work", true)],
            ..ContactRecord::default()
        };
        known.apply(&ContactRecord {
            title: "Head".into(),
            emails: vec![
                email("ADA@example.com", "", false),
                email("ada@home.example", "home", true),
            ],
            ..ContactRecord::default()
        });
        assert_eq!(known.given_name, "Ada");
        assert_eq!(known.title, "Head");
        assert_eq!(
            known.emails,
            [
                email("ada@example.com", "work", false),
                email("ada@home.example", "home", true)
            ]
        );
    }
}
