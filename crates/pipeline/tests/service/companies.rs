//! Companies that stand where their primary contact stands.

use proto::contacts::v1::{Contact, Email, contact};
use proto::pipeline::v1::{PolicyDefinition, policy_definition::Mode, position};

use crate::activating::{ADA, BOB, activate, create, preset};
use crate::holding::allowed;
use crate::suite::{Suite, eventually, on_each_engine, reason};

pub const COMPANY: &str = "workspaces/default/contacts/example-ltd";

pub async fn one_way(suite: &Suite, mode: Mode) -> PolicyDefinition {
    let mut definition = preset(&suite.one, "one-way").await;
    definition.mode = mode as i32;
    definition
}

/// Puts companies first; answers the revision for that.
pub async fn companies_first(suite: &Suite) -> String {
    let definition = one_way(suite, Mode::CompanyFirst).await;
    let new = create(&suite.one, "companies", definition).await;
    let new = new.expect("created");
    let activated = activate(&suite.one, &new.revision, &[], false).await;
    activated.expect("activated");
    new.revision
}

pub fn company(suite: &Suite) {
    suite.directory.put(Contact {
        name: COMPANY.to_owned(),
        kind: contact::Kind::Company as i32,
        emails: vec![Email {
            address: "office@example.com".to_owned(),
            ..Email::default()
        }],
        ..Contact::default()
    });
}

/// A person who belongs to the company.
pub fn associate(suite: &Suite, name: &str) {
    suite.directory.person(name, "");
    suite
        .directory
        .change(name, |person| COMPANY.clone_into(&mut person.company));
}

/// Waits until a contact stands in a stage.
pub async fn stands(suite: &Suite, name: &str, stage: &str) {
    eventually(&format!("{name} in `{stage}`"), || async {
        let position = suite.one.position(name).await.expect("a position");
        (position.stage == stage).then_some(())
    })
    .await;
}

/// Waits until a contact is the company's primary contact.
pub async fn follows(suite: &Suite, primary: &str) {
    let primary = primary.rsplit('/').next().expect("an id");
    // Rows that an update touches are there.
    let named = format!(
        "UPDATE companies SET primary_contact = primary_contact \
        WHERE company = 'example-ltd' AND primary_contact = '{primary}'"
    );
    eventually(&format!("{primary} as primary contact"), || async {
        (suite.sql(&named) == Ok(1)).then_some(())
    })
    .await;
}

/// Deletes a contact and waits until pipeline has agreed.
pub async fn delete(suite: &Suite, name: &str) {
    suite
        .directory
        .change(name, |gone| gone.state = contact::State::Deleting as i32);
    eventually("the confirmation", || async {
        let contact = suite.directory.get(name).expect("the contact");
        (contact.state() == contact::State::Deleted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_company_first_mode_a_company_stands_where_its_primary_contact_stands() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        companies_first(suite).await;
        company(suite);
        let alone = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(alone.stage, "");
        associate(suite, ADA);
        associate(suite, BOB);
        stands(suite, COMPANY, "lead").await;
        let refused = suite
            .one
            .convert(COMPANY, "client")
            .await
            .expect_err("it follows");
        assert_eq!(reason(&refused), "TRANSITION_NOT_ALLOWED");
        // The second associate does not move it, the first does, in the same transaction.
        suite.one.convert(BOB, "client").await.expect("a client");
        assert_eq!(
            suite.one.position(COMPANY).await.expect("a position").stage,
            "lead"
        );
        suite.one.convert(ADA, "client").await.expect("a client");
        let moved = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(moved.stage, "client");
        // Documents are the company's, not the person's.
        let grant = suite.one.acquire(COMPANY).await.expect("a grant");
        assert!(grant.entitlements.contains(&"invoice".to_owned()));
        let grant = suite.one.acquire(ADA).await.expect("a grant");
        assert!(!grant.entitlements.contains(&"invoice".to_owned()));
        assert!(grant.entitlements.contains(&"portal_login".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_company_stays_closed_when_its_former_primary_contact_moves() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        company(suite);
        associate(suite, ADA);
        stands(suite, COMPANY, "lead").await;
        delete(suite, COMPANY).await;
        suite.one.convert(ADA, "client").await.expect("a client");
        let gone = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(
            (gone.state(), gone.stage.as_str(), gone.revision),
            (position::State::None, "", 2)
        );
        assert!(!allowed(&suite.one, COMPANY, "invoice").await);
        // There again, it follows again.
        suite.directory.change(COMPANY, |company| {
            company.state = contact::State::Active as i32;
        });
        stands(suite, COMPANY, "client").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_without_a_primary_contact_lives_on_when_companies_come_first_no_more() {
    on_each_engine(async |suite| {
        companies_first(suite).await;
        company(suite);
        associate(suite, ADA);
        stands(suite, COMPANY, "lead").await;
        suite.one.convert(ADA, "prospect").await.expect("converted");
        stands(suite, COMPANY, "prospect").await;
        suite.directory.change(ADA, |ada| ada.company.clear());
        stands(suite, COMPANY, "").await;
        let definition = one_way(suite, Mode::Contact).await;
        let new = create(&suite.one, "contacts", definition).await;
        let new = new.expect("created");
        let activated = activate(&suite.one, &new.revision, &[], false).await;
        activated.expect("activated");
        let moved = suite.one.convert(COMPANY, "client").await;
        let moved = moved.expect("a client").transition.expect("a transition");
        assert_eq!(moved.from_stage, "prospect");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_primary_contact_takes_nothing_away_from_a_company_with_documents() {
    on_each_engine(async |suite| {
        suite.one.attach().await;
        companies_first(suite).await;
        company(suite);
        associate(suite, ADA);
        stands(suite, COMPANY, "lead").await;
        suite.one.convert(ADA, "client").await.expect("a client");
        let granted = suite.one.acquire(COMPANY).await.expect("a grant");
        associate(suite, BOB);
        suite.directory.change(ADA, |ada| ada.company.clear());
        // Rows that an update touches are there.
        let refused = "UPDATE effects SET revision = revision \
            WHERE contact = 'example-ltd' AND kind = 'WORK_ITEM' AND id LIKE 'primary-refused/%/bob'";
        eventually("the work item", || async {
            (suite.sql(refused) == Ok(1)).then_some(())
        })
        .await;
        let kept = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!(
            (kept.state(), kept.stage.as_str(), kept.revision),
            (position::State::Open, "client", 2)
        );
        let again = suite.one.acquire(COMPANY).await.expect("a grant");
        assert_eq!(again.grant_revision, granted.grant_revision);
        // Who would take nothing away becomes primary.
        suite.one.convert(BOB, "client").await.expect("a client");
        follows(suite, BOB).await;
        let kept = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!((kept.stage.as_str(), kept.revision), ("client", 2));
        // Whose last contact goes keeps its place as well.
        delete(suite, BOB).await;
        let nobody = refused.replace("/bob", "/");
        eventually("the work item", || async {
            (suite.sql(&nobody) == Ok(1)).then_some(())
        })
        .await;
        let kept = suite.one.position(COMPANY).await.expect("a position");
        assert_eq!((kept.stage.as_str(), kept.revision), ("client", 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_companies_first_says_what_people_lose() {
    on_each_engine(async |suite| {
        suite.directory.person(ADA, "client");
        suite.one.position(ADA).await.expect("a position");
        let definition = one_way(suite, Mode::CompanyFirst).await;
        let new = create(&suite.one, "companies", definition).await;
        let revision = new.expect("created").revision;
        let tried = activate(&suite.one, &revision, &[], true).await;
        let tried = tried.expect("tried");
        assert_eq!(tried.loss_counts.get("invoice"), Some(&1));
        assert_eq!(tried.loss_counts.get("portal_login"), None);
    })
    .await;
}
